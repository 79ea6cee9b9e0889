import { describe, expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import type { LogLine, LogOptions, ServiceRef } from "../../workloads/workloads.ts";
import { createLogger } from "../../kernel/logger.ts";
import { createLastLogLines } from "./last-log-lines.ts";

let stamps = 0;
const line = (text: string, more: Partial<LogLine> = {}): LogLine => ({
  timestamp: `2030-01-01T00:00:00.${String(++stamps).padStart(9, "0")}Z`,
  stream: "stdout",
  text,
  ...more,
});
const lines = (count: number, more: Partial<LogLine> = {}) =>
  Array.from({ length: count }, (_, index) => line(String(index), more));

/** A line in pieces, which share its timestamp. */
function inPieces(texts: string[], more: Partial<LogLine> = {}): LogLine[] {
  const { timestamp } = line("");
  return texts.map((text, index) => ({
    ...line(text, more),
    timestamp,
    ...(index < texts.length - 1 ? { continued: true as const } : {}),
  }));
}

/** The last lines of a container that has written these; a reading fails before its end where `failure` says so. */
function lastLinesOf(written: LogLine[], failure?: (options: LogOptions) => Error | null): Promise<string[]> {
  async function* logs(_: ServiceRef, options: LogOptions): AsyncGenerator<LogLine[]> {
    expect(options.follow).toBe(false);
    const { since = "", tail = written.length } = options;
    yield written.slice(-tail).filter(({ timestamp }) => timestamp >= since);
    const error = failure?.(options) ?? null;
    if (error !== null) throw error;
  }
  return createLastLogLines({ workloads: { logs }, logger: createLogger("silent") })({ env: "e", service: "app" });
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index));
const gone = () => new PlatformError("engine_unavailable", "gone");

test("a line in pieces is put together, also when the other stream writes in between", async () => {
  const [first, second, third] = inPieces(["sec", "r", "et"]) as [LogLine, LogLine, LogLine];
  const written = [line("one"), first, line("other", { stream: "stderr" }), second, third];
  expect(await lastLinesOf(written)).toEqual(["one", "other", "secret"]);
});

test("the last twenty lines are given, or all where there are fewer", async () => {
  expect(await lastLinesOf(lines(25))).toEqual(numbers(25).slice(-20));
  expect(await lastLinesOf(lines(20))).toEqual(numbers(20));
  expect(await lastLinesOf(lines(3))).toEqual(numbers(3));
  expect(await lastLinesOf([])).toEqual([]);
});

describe("a line that begins before the last twenty pieces", () => {
  const secret = inPieces(["the beginning of a secret", " and its end"]);

  test("is read again and given whole, on either stream", async () => {
    expect(await lastLinesOf([...secret, ...lines(19)])).toEqual([
      "the beginning of a secret and its end",
      ...numbers(19),
    ]);
    const other = inPieces(["begun", " long ago"], { stream: "stderr" });
    const written = [other[0] as LogLine, ...lines(19), other[1] as LogLine];
    expect(await lastLinesOf(written)).toEqual([...numbers(19), "begun long ago"]);
  });

  test("is left out, unlike the whole lines, when it cannot be read again", async () => {
    const failsAgain = ({ since }: LogOptions) => (since === undefined ? null : gone());
    expect(await lastLinesOf([...secret, ...lines(19)], failsAgain)).toEqual(numbers(19));
    expect(await lastLinesOf([...secret, ...lines(19)], gone)).toEqual(numbers(19));
  });
});

test("lines that came before a failure are given", async () => {
  expect(await lastLinesOf(lines(3), gone)).toEqual(numbers(3));
});

test("a long line is given whole, and a note stands for a line longer than all the pieces", async () => {
  const long = (count: number) => inPieces(Array.from({ length: count }, () => "x".repeat(65_536)));
  expect(await lastLinesOf([...long(2), line("end")])).toEqual(["x".repeat(131_072), "end"]);
  expect(await lastLinesOf([...long(6), line("end")])).toEqual(["[a line of more than 327680 characters]", "end"]);
});
