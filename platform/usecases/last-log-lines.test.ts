import { expect, test } from "vitest";
import { PlatformError } from "../domain/errors.ts";
import type { LogLine, LogOptions } from "../engine/engine.ts";
import { createLogger } from "../runtime/logger.ts";
import type { Context } from "./context.ts";
import { lastLogLines } from "./last-log-lines.ts";

const line = (text: string, more: Partial<LogLine> = {}): LogLine => ({
  timestamp: "2030-01-01T00:00:00.000000000Z",
  stream: "stdout",
  text,
  ...more,
});

/** The last lines of a container whose log comes in these batches, and then fails where told to. */
function lastLinesOf(batches: LogLine[][], failure?: Error): Promise<string[]> {
  async function* logs(_: string, options: LogOptions): AsyncGenerator<LogLine[]> {
    expect(options).toMatchObject({ follow: false, tail: 20 });
    yield* batches;
    if (failure !== undefined) throw failure;
  }
  const engine = { containers: { logs } } as unknown as Context["engine"];
  return lastLogLines({ engine, logger: createLogger("silent") }, "c");
}

test("a line that came in pieces is one again, whatever the other stream writes meanwhile", async () => {
  const batches = [
    [line("one"), line("sec", { continued: true })],
    [line("other", { stream: "stderr" }), line("r", { continued: true }), line("et")],
  ];
  expect(await lastLinesOf(batches)).toEqual(["one", "other", "secret"]);
});

test("the last twenty lines are given, and those that came before a failure", async () => {
  const many = Array.from({ length: 25 }, (_, index) => line(String(index)));
  expect(await lastLinesOf([many], new PlatformError("engine_unavailable", "gone"))).toEqual(
    many.slice(5).map(({ text }) => text),
  );
});
