import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CATALOGUE } from "../../kernel/errors.ts";
import type { Answer } from "../support/api-client.ts";
import { describeAnswer, visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { labelledObjects, leftovers, NO_POOLS, POOLS_AS_SHIPPED } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const MANY = 50;
/** The config version is counted up with each reload. */
const VERSION = /add_header x-sandbox-config-version (\d+);/;

type Reads = { count: number; bad: number; median: number; p99: number; max: number };

describePlatform(
  "load",
  // Its readers send the next request as soon as they are answered.
  {
    MAX_ENVS_PER_OWNER: "0",
    MAX_ENVS: "0",
    MAX_MEMORY_MB: "0",
    MAX_CPUS: "0",
    MAX_PIDS: "0",
    RATE_LIMIT: "0",
    CHANGES_LIMIT: "0",
    LOG_LEVEL: "warn",
    ...POOLS_AS_SHIPPED,
  },
  (platform) => {
    const reloads = () =>
      Number(VERSION.exec(readFileSync(join(platform.instance.folder, "conf.d/00-config-version.conf"), "utf8"))?.[1]);

    /** Reads again as soon as it is answered, until it is stopped. */
    function readMeanwhile(read: () => Promise<{ status: number }>): { stop(): Promise<Reads> } {
      const times: number[] = [];
      let bad = 0;
      const stopping = new AbortController();
      const reading = (async () => {
        while (!stopping.signal.aborted) {
          const started = performance.now();
          const { status } = await read();
          times.push(performance.now() - started);
          if (status !== 200) bad++;
        }
      })();
      return {
        async stop() {
          stopping.abort();
          await reading;
          const sorted = times.toSorted((a, b) => a - b);
          const at = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
          return { count: times.length, bad, median: at(0.5), p99: at(0.99), max: at(1) };
        },
      };
    }

    function expectCatalogued(answers: Answer<never>[], good: number): void {
      const codes = Object.keys(CATALOGUE).filter((code) => code !== "internal_error");
      for (const answer of answers)
        if (answer.status !== good) expect(codes, describeAnswer(answer)).toContain(answer.body["code"]);
    }

    test(`${MANY} creates at once, then ${MANY} destroys with outages and reads among them, leave nothing over`, async () => {
      const { api, instance } = platform;
      await api.create({ name: "first" });
      const [first] = (await api.list()).body;
      const before = reloads();
      const readers = {
        list: readMeanwhile(() => api.list()),
        logs: readMeanwhile(() => api.logs(first?.id ?? "")),
      };
      const started = performance.now();
      const created = await Promise.all(
        // Creates without a name take warm environments.
        Array.from({ length: MANY }, (_, index) => api.create(index % 10 === 0 ? {} : { name: `load-${index}` })),
      );
      const createMs = performance.now() - started;
      expectCatalogued(created as unknown as Answer[], 201);
      const running = created.filter(({ body }) => body.status === "running").map(({ body }) => body.id);
      console.log(`created: ${JSON.stringify(tally(created.map(({ body }) => String(body["code"] ?? body.status))))}`);
      // Catalogued refusals are allowed on a busy machine; refusing most creates is not.
      expect(running.length).toBeGreaterThan(MANY / 2);
      const pages = await Promise.all(running.map((id) => visit(instance, hostOf(id))));
      expect(pages.every(({ status, text }, index) => status === 200 && text.includes(running[index] ?? "?"))).toBe(
        true,
      );
      const createReloads = reloads() - before;

      const between = reloads();
      const destroyStarted = performance.now();
      const modes = ["crash", "pause", "network", "stress", "recover"];
      const outages = running.map((id, index) => api.outage(id, modes[index % modes.length] ?? "crash"));
      const destroyed = await Promise.all(running.map((id) => api.destroy(id)));
      const destroyMs = performance.now() - destroyStarted;
      expectCatalogued((await Promise.all(outages)) as unknown as Answer[], 200);
      expectCatalogued(destroyed as unknown as Answer[], 200);
      const [list, logs] = await Promise.all([readers.list.stop(), readers.logs.stop()]);
      const destroyReloads = reloads() - between;
      console.log(
        `${MANY} creates in ${Math.round(createMs)} ms with ${createReloads} reloads; ` +
          `${running.length} destroys in ${Math.round(destroyMs)} ms with ${destroyReloads} reloads; ` +
          `reads meanwhile, ms: GET /envs ${JSON.stringify(list)}, GET /envs/:id/logs ${JSON.stringify(logs)}`,
      );
      expect([list.bad, logs.bad]).toEqual([0, 0]);
      expect(createReloads).toBeLessThan(MANY);

      // A start without pools removes the warm environments.
      await instance.restartApi("SIGTERM", NO_POOLS);
      const isFirsts = (name: string) => name.includes(first?.id ?? "?") || name === first?.network;
      await waitUntil(
        "no leftovers beside the first environment",
        async () => (await leftovers(instance)).every(isFirsts),
        30_000,
      );
      expectStatus(await visit(instance, hostOf(first?.id ?? "")), 200);
      expect((await labelledObjects(instance.name)).filter((name) => name.includes("load-"))).toEqual([]);
    }, 240_000);
  },
  ["process"],
);

function tally(kinds: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
