import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { expectWholeOrGone } from "../support/whole-or-gone.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);
const SLOW_START =
  "setTimeout(() => require('http').createServer((q, r) => { console.log(q.url); r.end() }).listen(3000), 2000)";

/** By mode, whether it shows on the machine that an environment's container is broken. */
const BROKEN: Record<string, (container: string) => Promise<boolean>> = {
  crash: async (container) => (await inspect(container, "{{.State.Status}}")) === "exited",
  pause: async (container) => (await inspect(container, "{{.State.Status}}")) === "paused",
  network: async (container) => (await inspect(container, "{{len .NetworkSettings.Networks}}")) === "0",
  stress: async (container) => (await run("docker", ["top", container, "-o", "pid,comm"])).stdout.includes("stress-ng"),
  // What crashed stays down while that is in force, also when somebody removes what is left of it.
  gone: (container) =>
    inspect(container, "{{.State.Status}}").then(
      () => false,
      () => true,
    ),
};

async function inspect(container: string, format: string): Promise<string> {
  return (await run("docker", ["inspect", "-f", format, container])).stdout.trim();
}

describePlatform(
  "outages end",
  {},
  (platform) => {
    /** An environment for each way to be broken, broken for so many seconds, and then the end of the platform. */
    async function breakAllAndDie(duration: number) {
      const made = await Promise.all(Object.keys(BROKEN).map((name) => platform.createDemo({ name })));
      const broken = await Promise.all(
        made.map(async ({ id, name }) => {
          const answer = await platform.api.outage(id, name === "gone" ? "crash" : name, { duration });
          return expectStatus(answer, 200).body;
        }),
      );
      await platform.instance.stopApi("SIGKILL");
      const gone = made.find(({ name }) => name === "gone");
      await run("docker", ["rm", "-f", gone?.container ?? ""]);
      return broken.map(({ id, name, container, outage }) => ({
        id,
        name,
        container,
        end: Date.parse(outage?.ends_at ?? ""),
      }));
    }

    async function expectWell({ id, name, container }: { id: string; name: string; container: string }): Promise<void> {
      expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);
      expect(await BROKEN[name]?.(container), name).toBe(false);
    }

    test("in time and not before, although the platform is killed meanwhile", async () => {
      const broken = await breakAllAndDie(30);
      await platform.instance.startApi();
      for (const { name, container, end } of broken) {
        const isBroken = await BROKEN[name]?.(container);
        if (Date.now() < end) expect(isBroken, name).toBe(true);
      }
      await Promise.all(
        broken.map(async ({ id, name, end }) => {
          const isOver = async () => (await platform.api.show(id)).body.outage === null;
          await waitUntil(`the end of ${name}`, isOver, 60_000, 50);
          expect(Date.now(), name).toBeGreaterThanOrEqual(end);
        }),
      );
      await expectWholeOrGone(platform.instance);
      await Promise.all(broken.map(expectWell));
    });

    test("when their time was over while the platform was down", async () => {
      const broken = await breakAllAndDie(5);
      await waitUntil("their ends", () => broken.every(({ end }) => Date.now() > end));
      await platform.instance.startApi();
      for (const { id, name } of broken)
        await waitUntil(`the end of ${name}`, async () => (await platform.api.show(id)).body.outage === null, 30_000);
      await expectWholeOrGone(platform.instance);
      await Promise.all(broken.map(expectWell));
    });

    test("all at once by /halt, and only they", async () => {
      const made = await Promise.all(
        ["crash", "pause", "network", "well"].map((name) => platform.createDemo({ name })),
      );
      const broken = made.slice(0, 3);
      await Promise.all(broken.map(({ id, name }) => platform.api.outage(id, name)));
      const halted = await platform.api.call<{ recovered: string[]; failed: unknown[] }>("POST", "/halt");
      const { body } = expectStatus(halted, 200);
      expect(new Set(body.recovered)).toEqual(new Set(broken.map(({ id }) => id)));
      expect(body.failed).toEqual([]);
      for (const { id } of made) {
        expect((await platform.api.show(id)).body).toMatchObject({ status: "running", outage: null });
        expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);
      }
      expect((await platform.api.call("POST", "/halt")).body).toEqual({ recovered: [], failed: [] });
    });
  },
  ["process"],
);

describePlatform("the end of the platform itself", { MAX_ENVS: "0", MAX_MEMORY_MB: "0" }, (platform) => {
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
      expect(await platform.instance.stopApi("SIGTERM")).toBe(0); // it is 1 when that took too long
      for (const end of ends) expect(await end()).toContain("event: end\ndata: platform stopping");
      expectStatus(await slow, 201, { status: "running" });
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
      expectStatus(await destroying, 200);
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

describePlatform(
  "the end of a busy platform",
  { MAX_ENVS: "0", MAX_MEMORY_MB: "0" },
  (platform) => {
    test.each(["creates", "destroys"])(
      "amid 50 %s comes in time, and the next start leaves each environment whole or gone",
      async (what) => {
        const create = (n: number) => platform.api.create({ name: `many-${n}`, resources: { memory_mb: 32 } });
        const many = Array.from({ length: 50 }, (_, n) => n);
        const isUnderWay = (status: string) => status === "creating" || status === "destroying";
        let asked: Promise<unknown>;
        if (what === "creates") asked = Promise.allSettled(many.map(create));
        else {
          const made = await Promise.all(many.map(create));
          asked = Promise.allSettled(made.map(({ body }) => platform.api.destroy(body.id)));
        }
        await waitUntil(
          `the ${what}`,
          async () => (await platform.api.list()).body.filter(({ status }) => isUnderWay(status)).length >= 20,
          30_000,
          20,
        );
        expect(await platform.instance.stopApi("SIGTERM")).toBe(0); // it is 1 when that took too long
        await asked;
        await platform.instance.startApi();
        const settled = async () => (await platform.api.list()).body.every(({ status }) => !isUnderWay(status));
        await waitUntil("the rest to be taken down", settled, 90_000, 100);
        await expectWholeOrGone(platform.instance);
      },
      240_000,
    );
  },
  ["process"],
);
