import { describe, expect, test } from "vitest";
import { waitUntil } from "../support/wait-until.ts";
import type { EngineHarness } from "./engine-harness.ts";

/** What containers write. */
export function describeLogs(harness: EngineHarness): void {
  const {
    subject,
    engine,
    createdEnvironment,
    runningEnvironment,
    stateOf,
    read,
    readUntil,
    follow,
    abortedAfterTest,
  } = harness;

  describe("a container's output", () => {
    test("is read with stream and timestamp, in order, and without its line ends", async () => {
      const { spec } = await runningEnvironment();
      await subject.print(spec.name, "stdout", "one\ntwo\n\n");
      await subject.print(spec.name, "stderr", "thrée\n");
      const lines = await readUntil(spec.name, 4);
      const own = (stream: string) => lines.filter((line) => line.stream === stream);
      expect(own("stdout").map(({ text }) => text)).toEqual(["one", "two", ""]);
      expect(own("stderr").map(({ text }) => text)).toEqual(["thrée"]);
      const stamps = own("stdout").map(({ timestamp }) => timestamp);
      expect(stamps).toEqual([...new Set(stamps)].sort());
      expect(lines.every(({ timestamp }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(timestamp))).toBe(true);
    });

    test("is read from a line's timestamp on, that line included", async () => {
      const { spec } = await runningEnvironment();
      await subject.print(spec.name, "stdout", "a\nb\nc\n");
      const lines = await readUntil(spec.name, 3);
      const since = lines[1]?.timestamp ?? "";
      expect((await read(spec.name, { since })).map(({ text }) => text)).toEqual(["b", "c"]);
      // One nanosecond later; a stamp that ends in 999 would carry over, and stays.
      const after = since.replace(/\d{3}Z$/, (end) => {
        return `${String(Math.min(999, Number.parseInt(end, 10) + 1)).padStart(3, "0")}Z`;
      });
      const expected = after === since ? ["b", "c"] : ["c"];
      expect((await read(spec.name, { since: after })).map(({ text }) => text)).toEqual(expected);
    });

    test("is read from its end: the last so many lines", async () => {
      const { spec } = await runningEnvironment();
      await subject.print(spec.name, "stdout", "a\nb\nc\n");
      await readUntil(spec.name, 3);
      expect((await read(spec.name, { tail: 2 })).map(({ text }) => text)).toEqual(["b", "c"]);
    });

    test("is split into pieces of 64 KiB where a line is longer, all of one timestamp", async () => {
      const { spec } = await runningEnvironment();
      await subject.print(spec.name, "stdout", `${"x".repeat(70_000)}\nnext\n`);
      const lines = await readUntil(spec.name, 3);
      expect(lines.map(({ text }) => text.length)).toEqual([65_536, 4_464, 4]);
      expect(lines[0]?.timestamp).toBe(lines[1]?.timestamp);
      expect(lines.map(({ continued }) => continued)).toEqual([true, undefined, undefined]);
    });

    test("may be read from the middle of a long line, which is whole from its timestamp on", async () => {
      const { spec } = await runningEnvironment();
      await subject.print(spec.name, "stdout", `${"x".repeat(70_000)}\n`);
      await readUntil(spec.name, 2);
      const [end, ...more] = await read(spec.name, { tail: 1 });
      expect([end?.text.length, more]).toEqual([4_464, []]);
      const whole = await read(spec.name, { since: end?.timestamp ?? "" });
      expect(whole.map(({ text }) => text.length)).toEqual([65_536, 4_464]);
    });

    test("is there after the container ended", async () => {
      const { spec } = await runningEnvironment();
      await subject.print(spec.name, "stdout", "last words\n");
      await readUntil(spec.name, 1);
      await subject.exit(spec.name, 1);
      await waitUntil("its end", async () => (await stateOf(spec.name)) === "exited");
      expect((await read(spec.name)).map(({ text }) => text)).toEqual(["last words"]);
    });

    test("is followed through a pause", async () => {
      const { spec } = await runningEnvironment();
      const following = follow(spec.name, abortedAfterTest().signal);
      await engine.containers.pause(spec.name);
      await engine.containers.unpause(spec.name);
      await subject.print(spec.name, "stdout", "thawed\n");
      await waitUntil("the line", () => following.lines.length > 0);
      expect(following.lines).toEqual(["thawed"]);
    });

    test("stops coming, without an error, when the signal aborts", async () => {
      const { spec } = await runningEnvironment();
      const stop = abortedAfterTest();
      const following = follow(spec.name, stop.signal);
      await subject.print(spec.name, "stdout", "x\n");
      await waitUntil("a line", () => following.lines.length === 1);
      stop.abort();
      await following.done;
      const late = follow(spec.name, stop.signal);
      await late.done;
      expect([following.lines, late.lines]).toEqual([["x"], []]);
    });

    test("ends at once when followed while nothing runs", async () => {
      const { spec } = await createdEnvironment();
      const following = follow(spec.name, abortedAfterTest().signal);
      await following.done;
      expect(following.lines).toEqual([]);
    });

    test("comes in batches of at most 256 lines, and may be left at any line", async () => {
      const { spec } = await runningEnvironment();
      await subject.print(spec.name, "stdout", "x\n".repeat(600));
      await readUntil(spec.name, 600);
      const { signal } = abortedAfterTest();
      const sizes: number[] = [];
      for await (const batch of engine.containers.logs(spec.name, { follow: true, signal })) {
        sizes.push(batch.length);
        if (sizes.length === 2) break;
      }
      expect(sizes.every((size) => size > 0 && size <= 256)).toBe(true);
    });
  });
}
