import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { waitUntil } from "../support/wait-until.ts";

const SHARED = resolve(import.meta.dirname, "../../../.cache/nginx");

describePlatform(
  "Nginx",
  { WARM_POOL_SIZE: "0" },
  (platform) => {
    const nginx = () => `${platform.instance.name}-nginx`;

    /** What the engine was asked to do in Nginx's container, or to it, while `work` went on. */
    async function askedOfEngine(work: () => Promise<unknown>): Promise<string[]> {
      const since = String(Date.now() / 1000);
      await work();
      const filters = ["exec_create", "kill"].flatMap((event) => ["--filter", `event=${event}`]);
      const until = String(Date.now() / 1000);
      const filter = ["--filter", `container=${nginx()}`, ...filters];
      const said = await docker("events", "--since", since, "--until", until, ...filter, "--format", "{{.Action}}");
      return said.split("\n").filter(Boolean);
    }

    async function createAndDestroy(): Promise<void> {
      const { id } = await platform.createDemo();
      expect((await visit(platform.instance, hostOf(id))).status).toBe(200);
      expect((await platform.api.destroy(id)).status).toBe(200);
      expect((await visit(platform.instance, hostOf(id))).status).toBe(404);
    }

    async function workers(): Promise<number> {
      const processes = await docker("top", nginx(), "-eo", "pid,args");
      return processes.split("\n").filter((line) => line.endsWith("nginx: worker process")).length;
    }

    test("has a worker for every two processors, also after a reload", async () => {
      const half = Math.ceil(availableParallelism() / 2);
      expect(await workers()).toBe(half);
      await createAndDestroy();
      await waitUntil("old workers to be gone", async () => (await workers()) === half);
    });

    test("does not pace what it sends, which stays on this machine", async () => {
      expect(await docker("exec", nginx(), "cat", "/proc/sys/net/ipv4/tcp_congestion_control")).toBe("reno");
    });

    test("is tested and reloaded from inside, without the engine", async () => {
      expect(await askedOfEngine(createAndDestroy)).toEqual([]);
    });

    test("is tested and reloaded by the engine where nobody inside can be asked, until it is started anew", async () => {
      await rm(join(SHARED, platform.instance.name, "ask"));
      const asked = await askedOfEngine(createAndDestroy);
      expect(asked).toContainEqual(expect.stringContaining("nginx -t"));
      expect(asked).toContain("kill");
      await docker("restart", "-t", "1", nginx());
      await waitUntil("the desk", async () => (await askedOfEngine(createAndDestroy)).length === 0, 30_000);
    });
  },
  ["process", "container", "filtered container"],
);
