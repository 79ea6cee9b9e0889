import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isPlatformError } from "../../kernel/errors.ts";
import { anyText } from "../../test/support/any-text.ts";
import type { LogLine } from "../workloads.ts";
import { createLogAssembler, normalizeTimestamp, readLogLines } from "./logs.ts";

const STDOUT = 1;
const STDERR = 2;

/** A frame as the engine writes it. */
function frame(kind: number, payload: Buffer | string): Buffer {
  const bytes = Buffer.from(payload);
  const header = Buffer.alloc(8);
  header[0] = kind;
  header.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

function stamp(nanoseconds: number): string {
  return `2026-11-22T10:00:00.${String(nanoseconds).padStart(9, "0")}Z`;
}

function out(nanoseconds: number, text: Buffer | string, kind = STDOUT): Buffer {
  return frame(kind, Buffer.concat([Buffer.from(`${stamp(nanoseconds)} `), Buffer.from(text)]));
}

function err(nanoseconds: number, text: string): Buffer {
  return out(nanoseconds, text, STDERR);
}

function assemble(chunks: Buffer[]): LogLine[] {
  const assembler = createLogAssembler();
  return [...chunks.flatMap((chunk) => assembler.push(chunk)), ...assembler.flush()];
}

function texts(chunks: Buffer[]): string[] {
  return assemble(chunks).map(({ text }) => text);
}

async function* chunksOf(chunks: Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks;
}

async function collect(chunks: Iterable<Buffer>, since?: string): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for await (const batch of readLogLines(chunksOf(chunks), since)) lines.push(...batch);
  return lines;
}

describe("a container's log stream", () => {
  test("gives each line with its stream and its timestamp, without its line end", () => {
    expect(assemble([out(1, "one\n"), err(2, "two\r\n"), out(3, "\n")])).toEqual([
      { timestamp: stamp(1), stream: "stdout", text: "one" },
      { timestamp: stamp(2), stream: "stderr", text: "two" },
      { timestamp: stamp(3), stream: "stdout", text: "" },
    ]);
  });

  test("keeps carriage returns and spaces that are not the line's end", () => {
    expect(texts([out(1, " 10 %\r 20 % \n")])).toEqual([" 10 %\r 20 % "]);
  });

  test("gives the same lines at every point where it is cut in two", () => {
    const bytes = Buffer.concat([
      out(1, "ä😀\n"),
      err(2, ""),
      out(3, "\n"),
      out(4, "half "),
      err(5, "between\n"),
      out(4, "done\n"),
      frame(STDOUT, ""),
      out(6, "end"),
    ]);
    const whole = assemble([bytes]);
    expect(whole.map(({ text }) => text)).toEqual(["ä😀", "", "", "between", "half done", "end"]);
    for (let at = 0; at <= bytes.length; at++) {
      expect(assemble([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toEqual(whole);
    }
    expect(assemble([...bytes].map((byte) => Buffer.from([byte])))).toEqual(whole);
  });

  test("joins a character that is cut between two frames of a line", () => {
    const bytes = Buffer.from("a😀b\n");
    for (let at = 0; at < bytes.length; at++) {
      expect(texts([out(1, bytes.subarray(0, at)), out(1, bytes.subarray(at))])).toEqual(["a😀b"]);
    }
  });

  test("turns bytes that are no text into replacement characters, and goes on", () => {
    expect(texts([out(1, Buffer.from([0xff, 0x00, 0xc3, 0x0a])), out(2, "next\n")])).toEqual([
      "\ufffd\0\ufffd",
      "next",
    ]);
  });

  test("joins the partial lines of both streams apart", () => {
    expect(assemble([out(1, "o1 "), err(2, "e1 "), out(1, "o2\n"), err(2, "e2\n")])).toEqual([
      { timestamp: stamp(1), stream: "stdout", text: "o1 o2" },
      { timestamp: stamp(2), stream: "stderr", text: "e1 e2" },
    ]);
  });

  test("ends a line that was cut off by an exit when another run's line follows", () => {
    expect(texts([out(1, "cut off"), out(2, "next run\n")])).toEqual(["cut off", "next run"]);
  });

  test("gives a last line that has no line end", () => {
    expect(texts([out(1, "one\n"), out(2, "no end")])).toEqual(["one", "no end"]);
  });

  test("joins 16 KiB pieces of a line up to 64 KiB and splits it there, all pieces at one timestamp", () => {
    const piece = Buffer.alloc(16_384, 0x78);
    const lines = assemble([...Array.from({ length: 9 }, () => out(1, piece)), out(1, "end\n")]);
    expect(lines.map(({ text }) => text.length)).toEqual([65_536, 65_536, 16_387]);
    expect(new Set(lines.map(({ timestamp }) => timestamp))).toEqual(new Set([stamp(1)]));
    expect(lines.map(({ continued }) => continued)).toEqual([true, true, undefined]);
  });

  test("a line of exactly 64 KiB is one line", () => {
    expect(texts([out(1, Buffer.alloc(65_536, 0x78)), out(1, "\n")]).map(({ length }) => length)).toEqual([65_536]);
    expect(texts([out(1, `${"x".repeat(65_536)}\n`)]).map(({ length }) => length)).toEqual([65_536]);
  });

  test("does not cut a character where it splits a line", () => {
    const text = `a${"😀".repeat(20_000)}`;
    const lines = texts([out(1, `${text}\n`)]);
    expect(lines.length).toBe(2);
    expect(lines.join("")).toBe(text);
    expect(lines.every((line) => Buffer.byteLength(line) <= 65_536)).toBe(true);
  });

  test("drops what the engine repeats after a rotation, stream by stream", () => {
    const chunks = [
      out(1, "a\n"),
      out(3, "b\n"),
      err(2, "e\n"),
      out(5, "c\n"),
      out(3, "b\n"),
      err(2, "e\n"),
      out(5, "c\n"),
      out(6, "d\n"),
      out(6, "d\n"),
    ];
    expect(texts(chunks)).toEqual(["a", "b", "e", "c", "d"]);
  });

  test("drops the repeated pieces of a long line as well", () => {
    const chunks = [out(1, "a\n"), out(2, "long "), out(2, "line\n"), out(2, "long "), out(2, "line\n"), out(3, "b\n")];
    expect(texts(chunks)).toEqual(["a", "long line", "b"]);
  });

  test("keeps lines that one stream stamped before the other's last one", () => {
    expect(texts([out(5, "o\n"), err(4, "e\n"), out(6, "p\n")])).toEqual(["o", "e", "p"]);
  });

  test("goes on when the machine's clock was set back", () => {
    const earlier = frame(STDOUT, "2026-11-22T09:00:00.000000000Z back\n");
    expect(texts([out(1, "a\n"), earlier, frame(STDOUT, "2026-11-22T09:00:01.000000000Z on\n")])).toEqual([
      "a",
      "back",
      "on",
    ]);
  });

  test.each([
    ["has no frames", Buffer.from("plain text from a terminal\n")],
    ["has a frame of an unknown kind", frame(7, `${stamp(1)} x\n`)],
    ["has a frame of four gigabytes", Buffer.from([1, 0, 0, 0, 255, 255, 255, 255, 1])],
    ["has a line without a timestamp", frame(STDOUT, "no timestamp here, although it is long enough\n")],
    ["tells that the engine cannot read it", frame(3, "Error grabbing logs: invalid character")],
  ])("fails with engine_failed when it %s", async (_what, bytes) => {
    await expect(collect([bytes])).rejects.toMatchObject({ code: "engine_failed" });
  });

  test("starts at `since`, to the nanosecond", async () => {
    const chunks = [out(1, "a\n"), out(2, "b\n"), out(3, "c\n")];
    expect((await collect(chunks, stamp(2))).map(({ text }) => text)).toEqual(["b", "c"]);
  });

  test("comes in batches of at most 256 lines", async () => {
    const bytes = Buffer.concat(Array.from({ length: 1000 }, (_, i) => out(i + 1, "x\n")));
    const sizes: number[] = [];
    for await (const batch of readLogLines(chunksOf([bytes]))) sizes.push(batch.length);
    expect(sizes).toEqual([256, 256, 256, 232]);
  });

  test("does not read ahead of a slow reader, and closes its source when the reader leaves", async () => {
    let given = 0;
    let closed = false;
    async function* source() {
      try {
        for (;;) {
          given++;
          yield out(given, "x\n");
        }
      } finally {
        closed = true;
      }
    }
    const read: string[] = [];
    for await (const batch of readLogLines(source())) {
      read.push(...batch.map(({ text }) => text));
      if (read.length === 3) break;
    }
    expect([given, closed]).toEqual([3, true]);
  });

  test("takes a million empty lines in bounded memory", async () => {
    const chunk = 1_600;
    function* million() {
      for (let at = 0; at < 1_000_000; at += chunk) {
        yield Buffer.concat(Array.from({ length: Math.min(chunk, 1_000_000 - at) }, (_, i) => out(at + i + 1, "\n")));
      }
    }
    const heap = process.memoryUsage().heapUsed;
    let count = 0;
    let largest = 0;
    for await (const batch of readLogLines(chunksOf(million()))) {
      count += batch.length;
      if (count % 10_000 < 256) largest = Math.max(largest, process.memoryUsage().heapUsed - heap);
    }
    expect(count).toBe(1_000_000);
    // Nothing is kept: what the heap grows by is garbage not yet collected.
    expect(largest).toBeLessThan(200 * 1024 * 1024);
  });

  test("whatever lines are written, however framed and cut, are read back", () => {
    const line = fc.record({
      stderr: fc.boolean(),
      text: anyText(40).map((text) => text.replaceAll(/[\r\n]/g, "")),
    });
    const cuts = fc.array(fc.nat(), { maxLength: 10 });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), cuts, cuts, (lines, frameCuts, chunkCuts) => {
        const frames = lines.flatMap(({ stderr, text }, i) => {
          const bytes = Buffer.from(`${text}\n`);
          const at = (frameCuts[i % Math.max(1, frameCuts.length)] ?? 0) % bytes.length;
          const pieces = at === 0 ? [bytes] : [bytes.subarray(0, at), bytes.subarray(at)];
          return pieces.map((piece) => out(i + 1, piece, stderr ? STDERR : STDOUT));
        });
        const bytes = Buffer.concat(frames);
        const points = [0, ...chunkCuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        const chunks = points.slice(1).map((end, i) => bytes.subarray(points[i], end));
        const expected = lines.map(({ stderr, text }, i) => ({
          timestamp: stamp(i + 1),
          stream: stderr ? "stderr" : "stdout",
          text: text.toWellFormed(),
        }));
        expect(assemble(chunks)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  test("random bytes are refused or read, never a crash or a hang", async () => {
    const bytes = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 });
    const property = fc.asyncProperty(bytes, async (chunks) => {
      const [result] = await Promise.allSettled([collect(chunks.map((chunk) => Buffer.from(chunk)))]);
      return result.status === "fulfilled" || isPlatformError(result.reason, "engine_failed");
    });
    expect(await fc.check(property, { numRuns: 500 })).toMatchObject({ failed: false });
  });
});

describe("a timestamp", () => {
  test("is brought to nine decimals", () => {
    expect(normalizeTimestamp("2026-01-02T03:04:05Z")).toBe("2026-01-02T03:04:05.000000000Z");
    expect(normalizeTimestamp("2026-01-02T03:04:05.12Z")).toBe("2026-01-02T03:04:05.120000000Z");
  });

  test.each(["", "yesterday", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05+01:00", "2026-01-02T03:04:05.1234567890Z"])(
    "%j is refused as invalid_request",
    (text) => {
      expect(() => normalizeTimestamp(text)).toThrow(expect.objectContaining({ code: "invalid_request" }));
    },
  );
});
