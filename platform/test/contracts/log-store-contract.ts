import { describe, expect, onTestFinished, test } from "vitest";
import type { LogStore } from "../../store/logs/log-store.ts";
import { aLine, collectAll, textsOf } from "../support/log-lines.ts";

/** An empty store, a way to make its next append to an environment's logs fail (and to undo that), and its kept cleanup lines. */
export type LogStoreSubject = {
  store: LogStore;
  failNextAppend(id: string): Promise<() => Promise<void>>;
  cleanupLines(): Promise<unknown[]>;
};

const ID = "env-hello-mf3k2x9a";
const OTHER = "env-other-mf3k2x9b";
const HOSTILE = [
  "",
  ".",
  "..",
  "archived",
  "env-",
  "env-a/b",
  "../env-a",
  "env-a\0",
  "ENV-A",
  "env-a\n",
  `env-${"a".repeat(60)}`,
];

/** What every LogStore does beside following; run against the fake and the one on disk. */
export function describeLogStoreContract(name: string, makeSubject: () => Promise<LogStoreSubject>): void {
  async function makeStore(): Promise<LogStore> {
    const { store } = await makeSubject();
    onTestFinished(() => store.close());
    return store;
  }

  describe(`LogStore contract: ${name}`, () => {
    test("a line is read as timestamp, service, stream and text", async () => {
      const store = await makeStore();
      await store.append(ID, [
        { timestamp: "2030-01-01T00:00:00.123456789Z", service: "app", stream: "stderr", text: "  two  spaces " },
      ]);
      expect(await store.read(ID, { lines: 10 })).toEqual(["2030-01-01T00:00:00.123456789Z app stderr   two  spaces "]);
    });

    test("any text is read as one line: empty, unicode, control characters, carriage returns, line breaks", async () => {
      const store = await makeStore();
      const given = [
        "",
        "h\u00e9llo \u{1f4a5}",
        "\u0000\u001b[31mred\u001b[0m\u0007",
        "a\rb",
        "\ufffd\ufffd",
        "x".repeat(64 * 1024),
      ];
      await store.append(
        ID,
        given.map((text, index) => aLine(index, text)),
      );
      await store.append(ID, [aLine(9, "forged\n2030-01-01T00:00:00.000000000Z app stdout line")]);
      const read = textsOf(await store.read(ID, { lines: 100 }));
      expect(read?.slice(0, given.length)).toEqual(given);
      expect(read).toHaveLength(given.length + 1);
    });

    test("read gives the last lines asked for, oldest first", async () => {
      const store = await makeStore();
      for (let second = 0; second < 20; second++) await store.append(ID, [aLine(second, `line ${second}`)]);
      expect(textsOf(await store.read(ID, { lines: 3 }))).toEqual(["line 17", "line 18", "line 19"]);
      expect(await store.read(ID, { lines: 0 })).toEqual([]);
      expect(await store.read(ID, { lines: 10_000 })).toHaveLength(20);
    });

    test("read filters by service, by time to the millisecond, and by text of any letter case", async () => {
      const store = await makeStore();
      await store.append(ID, [
        aLine(1, "first ERROR"),
        aLine(2, "second", { service: "db" }),
        aLine(2.001, "error app stdout", { service: "db" }),
        aLine(3, "[last] error.*"),
      ]);
      const since = Date.UTC(2030, 0, 1) + 2001;
      expect(textsOf(await store.read(ID, { lines: 9, service: "db" }))).toEqual(["second", "error app stdout"]);
      expect(textsOf(await store.read(ID, { lines: 9, since }))).toEqual(["error app stdout", "[last] error.*"]);
      expect(textsOf(await store.read(ID, { lines: 9, grep: "Error" }))).toEqual([
        "first ERROR",
        "error app stdout",
        "[last] error.*",
      ]);
      expect(textsOf(await store.read(ID, { lines: 1, grep: "ERROR.*" }))).toEqual(["[last] error.*"]);
      expect(textsOf(await store.read(ID, { lines: 1, service: "db", grep: "err", since }))).toEqual([
        "error app stdout",
      ]);
      expect(await store.read(ID, { lines: 9, service: "stdout" })).toEqual([]);
    });

    test("read gives null for an environment without logs and for a text that is no id", async () => {
      const store = await makeStore();
      await store.append(ID, []);
      for (const id of [ID, ...HOSTILE]) {
        expect(await store.read(id, { lines: 1 })).toBeNull();
        expect(await store.readHealth(id, 1)).toEqual([]);
        expect(await store.resumePoint(id, "app")).toBeNull();
        expect(await collectAll(store.follow(id, { lines: 5 }, AbortSignal.timeout(50)))).toEqual([]);
      }
      expect(await store.list()).toEqual([]);
    });

    test("every write for a text that is no id is refused", async () => {
      const store = await makeStore();
      const check = { timestamp: "2030-01-01T00:00:00.000Z", status: 200, latency_ms: 1, ok: true };
      for (const id of HOSTILE) {
        await expect(store.append(id, [aLine(1, "x")])).rejects.toMatchObject({ code: "internal_error" });
        await expect(store.appendHealth(id, check)).rejects.toMatchObject({ code: "internal_error" });
        await expect(store.archive(id)).rejects.toMatchObject({ code: "internal_error" });
        await expect(store.discard(id)).rejects.toMatchObject({ code: "internal_error" });
        expect(() => store.archivePath(id)).toThrow("no environment's id");
      }
      expect(await store.list()).toEqual([]);
    });

    test("environments do not see each other's lines", async () => {
      const store = await makeStore();
      await Promise.all([store.append(ID, [aLine(1, "mine")]), store.append(OTHER, [aLine(1, "theirs")])]);
      expect(textsOf(await store.read(ID, { lines: 9 }))).toEqual(["mine"]);
      expect((await store.list()).sort()).toEqual([ID, OTHER]);
    });

    test("appends at the same time end in the order of the calls", async () => {
      const store = await makeStore();
      const numbers = Array.from({ length: 200 }, (_, index) => index);
      await Promise.all(
        numbers.map((number) => store.append(ID, [aLine(number, `${number}a`), aLine(number, `${number}b`)])),
      );
      expect(textsOf(await store.read(ID, { lines: 1000 }))).toEqual(
        numbers.flatMap((number) => [`${number}a`, `${number}b`]),
      );
    });

    test("the resume point counts the lines of the last timestamp, by stream and for one service", async () => {
      const store = await makeStore();
      await store.append(ID, [
        aLine(1, "old"),
        aLine(2, "twin"),
        aLine(2, "other stream", { stream: "stderr" }),
        aLine(2, "twin"),
        aLine(3, "elsewhere", { service: "db" }),
      ]);
      const stamp = "2030-01-01T00:00:02.000000000Z";
      expect(await store.resumePoint(ID, "app")).toEqual({
        since: "2029-12-31T23:59:52.000000000Z",
        streams: { stdout: { timestamp: stamp, count: 2 }, stderr: { timestamp: stamp, count: 1 } },
      });
      expect((await store.resumePoint(ID, "db"))?.streams).toEqual({
        stdout: { timestamp: "2030-01-01T00:00:03.000000000Z", count: 1 },
      });
      expect(await store.resumePoint(ID, "none")).toBeNull();
    });

    test("the resume point keeps a stream's own last line when the other one has gone on", async () => {
      const store = await makeStore();
      await store.append(ID, [aLine(1, "a", { stream: "stderr" }), aLine(2, "b"), aLine(3, "c"), aLine(4, "d")]);
      const point = await store.resumePoint(ID, "app");
      expect(point?.streams.stderr).toEqual({ timestamp: aLine(1, "").timestamp, count: 1 });
      expect(point?.streams.stdout).toEqual({ timestamp: aLine(4, "").timestamp, count: 1 });
    });

    test("the resume point has no entry for a stream that has long been silent", async () => {
      const store = await makeStore();
      await store.append(ID, [aLine(1, "long ago", { stream: "stderr" }), aLine(100, "b"), aLine(3600, "c")]);
      const point = await store.resumePoint(ID, "app");
      expect(point).toEqual({
        since: aLine(3590, "").timestamp,
        streams: { stdout: { timestamp: aLine(3600, "").timestamp, count: 1 } },
      });
    });

    test("a failed append leaves nothing behind and the next one succeeds", async () => {
      const { store, failNextAppend } = await makeSubject();
      onTestFinished(() => store.close());
      const repair = await failNextAppend(ID);
      await expect(store.append(ID, [aLine(1, "lost")])).rejects.toMatchObject({ code: "storage_failed" });
      await repair();
      await store.append(ID, [aLine(2, "kept")]);
      expect(textsOf(await store.read(ID, { lines: 9 }))).toEqual(["kept"]);
    });

    test("archived logs can be read, are not listed as live, and can be archived again", async () => {
      const store = await makeStore();
      const check = {
        timestamp: "2030-01-01T00:00:00.000Z",
        status: null,
        latency_ms: 12.3,
        ok: false,
        error: "refused",
      };
      await store.append(ID, [aLine(1, "kept")]);
      await store.appendHealth(ID, check);
      await store.archive(ID);
      await store.archive(ID);
      expect(await store.list()).toEqual([]);
      expect(textsOf(await store.read(ID, { lines: 9 }))).toEqual(["kept"]);
      expect(await store.readHealth(ID, 10)).toEqual([check]);
      expect(store.archivePath(ID)).toBe(`logs/archived/${ID}`);
    });

    test("an archive has its owner, also after it was archived once more", async () => {
      const store = await makeStore();
      await store.append(ID, [aLine(1, "kept")]);
      expect(await store.archivedOwner(ID)).toBeNull();
      await store.archive(ID, "ann");
      await store.archive(ID, "ann");
      await store.append(OTHER, [aLine(1, "nobody's")]);
      await store.archive(OTHER);
      expect(await store.archivedOwner(ID)).toBe("ann");
      expect(await store.archivedOwner(OTHER)).toBeNull();
      expect(await store.archivedOwner("../outside")).toBeNull();
      expect(textsOf(await store.read(ID, { lines: 9 }))).toEqual(["kept"]);
    });

    test("archive leaves nothing of an environment that wrote nothing", async () => {
      const store = await makeStore();
      await store.archive(ID);
      expect(await store.read(ID, { lines: 1 })).toBeNull();
      expect(await store.list()).toEqual([]);
    });

    test("discard removes the logs for good", async () => {
      const store = await makeStore();
      await store.append(ID, [aLine(1, "x")]);
      await store.discard(ID);
      await store.discard(ID);
      expect(await store.read(ID, { lines: 1 })).toBeNull();
      expect(await store.list()).toEqual([]);
    });

    test("a late line or check does not begin archived or discarded logs anew", async () => {
      const store = await makeStore();
      await store.append(ID, [aLine(1, "x")]);
      await store.archive(ID);
      await store.discard(OTHER);
      for (const id of [ID, OTHER]) {
        await store.appendHealth(id, { timestamp: "2030-01-01T00:00:00.000Z", status: 200, latency_ms: 1, ok: true });
        await expect(store.append(id, [aLine(2, "late")])).rejects.toMatchObject({ code: "conflict" });
      }
      expect(await store.list()).toEqual([]);
      expect(textsOf(await store.read(ID, { lines: 9 }))).toEqual(["x"]);
    });

    test("readHealth gives the last checks, oldest first", async () => {
      const store = await makeStore();
      const checks = Array.from({ length: 15 }, (_, index) => ({
        timestamp: `2030-01-01T00:00:${index + 10}.000Z`,
        status: 200,
        latency_ms: index,
        ok: true,
      }));
      for (const check of checks) await store.appendHealth(ID, check);
      expect(await store.readHealth(ID, 10)).toEqual(checks.slice(5));
      expect(await store.readHealth(ID, 0)).toEqual([]);
      expect(await store.read(ID, { lines: 10 })).toEqual([]);
    });

    test("cleanup actions are kept in order", async () => {
      const { store, cleanupLines } = await makeSubject();
      onTestFinished(() => store.close());
      await Promise.all([
        store.appendCleanup({ action: "expired", env_id: ID }),
        store.appendCleanup({ action: "destroyed", env_id: ID }),
      ]);
      expect(await cleanupLines()).toMatchObject([{ action: "expired", env_id: ID }, { action: "destroyed" }]);
    });

    test("append is refused after close, and close can be called again", async () => {
      const store = await makeStore();
      await store.append(ID, [aLine(1, "x")]);
      await store.close();
      await store.close();
      await expect(store.append(ID, [aLine(2, "y")])).rejects.toMatchObject({ code: "shutting_down" });
      await expect(store.appendCleanup({})).rejects.toMatchObject({ code: "shutting_down" });
      expect(textsOf(await store.read(ID, { lines: 9 }))).toEqual(["x"]);
    });
  });
}
