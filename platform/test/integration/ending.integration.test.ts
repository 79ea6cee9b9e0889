import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { expectWholeOrGone } from "../support/whole-or-gone.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);
const SLOW_START =
  "setTimeout(() => require('http').createServer((q, r) => { console.log(q.url); r.end() }).listen(3000), 2000)";
const stateOf = async (container: string): Promise<string> =>
  (await run("docker", ["inspect", "-f", "{{.State.Status}}", container])).stdout.trim();

describePlatform(
  "outages end",
  {},
  (platform) => {
    test("in time, although the platform is killed meanwhile", async () => {
      const { id, container } = await platform.createDemo({ name: "outlives" });
      const { outage } = (await platform.api.outage(id, "pause", { duration: 6 })).body;
      await platform.instance.stopApi("SIGKILL");
      await platform.instance.startApi();
      expect(await stateOf(container)).toBe("paused");
      const end = Date.parse(outage?.ends_at ?? "");
      await waitUntil("its end", async () => (await platform.api.show(id)).body.outage === null, 30_000, 50);
      expect(Date.now()).toBeGreaterThanOrEqual(end);
      expect(Date.now() - end).toBeLessThan(10_000);
      expect(await stateOf(container)).toBe("running");
      await expectWholeOrGone(platform.instance);
    });

    test("when their time was over while the platform was down", async () => {
      const { id } = await platform.createDemo({ name: "overslept" });
      const { outage } = (await platform.api.outage(id, "crash", { duration: 1 })).body;
      await platform.instance.stopApi("SIGKILL");
      await waitUntil("its end", () => Date.now() > Date.parse(outage?.ends_at ?? ""));
      await platform.instance.startApi();
      await waitUntil("running", async () => (await platform.api.show(id)).body.outage === null);
      await expectWholeOrGone(platform.instance);
    });

    test("all at once by /halt, and only they", async () => {
      const made = await Promise.all(
        ["crash", "pause", "network", "well"].map((name) => platform.createDemo({ name })),
      );
      const broken = made.slice(0, 3);
      await Promise.all(broken.map(({ id, name }) => platform.api.outage(id, name)));
      const { status, body } = await platform.api.call<{ recovered: string[]; failed: unknown[] }>("POST", "/halt");
      expect(status).toBe(200);
      expect(new Set(body.recovered)).toEqual(new Set(broken.map(({ id }) => id)));
      expect(body.failed).toEqual([]);
      for (const { id } of made) {
        expect((await platform.api.show(id)).body).toMatchObject({ status: "running", outage: null });
        expect((await visit(platform.instance, hostOf(id), "/health")).status).toBe(200);
      }
      expect((await platform.api.call("POST", "/halt")).body).toEqual({ recovered: [], failed: [] });
    });
  },
  ["process"],
);

describePlatform("the end of the platform itself", {}, (platform) => {
  const streams: AbortController[] = [];
  afterEach(async () => {
    for (const stream of streams.splice(0)) stream.abort();
    await platform.instance.stopApi("SIGKILL");
    await platform.instance.startApi();
  });

  /** Opens an event stream and collects what it says until its end. */
  async function follow(path: string): Promise<() => Promise<string>> {
    const abort = new AbortController();
    streams.push(abort);
    const response = await fetch(platform.instance.apiUrl + path, {
      headers: { accept: "text/event-stream" },
      signal: abort.signal,
    });
    const whole = response.text();
    whole.catch(() => {});
    return () => whole;
  }

  describe("SIGTERM", () => {
    test("finishes the creation under way, says goodbye to streams, and exits 0 in time", async () => {
      const { id } = await platform.createDemo({ name: "followed" });
      const ends = [await follow("/events"), await follow(`/envs/${id}/logs`)];
      const slow = platform.api.create({ name: "slow", command: ["node", "-e", SLOW_START] });
      await waitUntil("the creation", async () => (await platform.api.list()).body.length === 2, 10_000, 20);
      const started = performance.now();
      expect(await platform.instance.stopApi("SIGTERM")).toBe(0);
      expect(performance.now() - started).toBeLessThan(30_000);
      for (const end of ends) expect(await end()).toContain("event: end\ndata: platform stopping");
      expect(await slow).toMatchObject({ status: 201, body: { status: "running" } });
      await platform.instance.startApi();
      expect(new Set((await expectWholeOrGone(platform.instance)).map(({ name }) => name))).toEqual(
        new Set(["followed", "slow"]),
      );
    });

    test("finishes the destruction under way", async () => {
      const { id } = await platform.createDemo({ name: "leaving" });
      const destroying = platform.api.destroy(id);
      await waitUntil("the destruction", async () => (await platform.api.show(id)).body.status !== "running", 5_000, 5);
      expect(await platform.instance.stopApi("SIGTERM")).toBe(0);
      expect((await destroying).status).toBe(200);
      await platform.instance.startApi();
      expect(await expectWholeOrGone(platform.instance)).toEqual([]);
    });

    test("does not wait for a client that holds a connection open and asks nothing", async () => {
      const socket = connect(Number(platform.instance.variables["PLATFORM_PORT"]), "127.0.0.1");
      try {
        await once(socket, "connect");
        socket.on("error", () => {}); // it may be cut
        socket.write("GET /envs HTTP/1.1\r\nHost: 127.0.0.1\r\n"); // and never the rest
        expect(await platform.instance.stopApi("SIGTERM")).toBe(0);
      } finally {
        socket.destroy();
      }
    });
  });
});
