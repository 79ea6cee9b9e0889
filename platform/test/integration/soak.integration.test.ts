import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { OUTAGE_MODES } from "../../domain/environment/record.ts";
import type { EnvironmentView } from "../../domain/environment/view.ts";
import { describeAnswer, visit, type AnyAnswer } from "../support/api-client.ts";
import { usePlatform } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { createRandom } from "../support/random.ts";
import { residentMib } from "../support/resident-memory.ts";
import { NO_POOLS, POOLS_AS_SHIPPED } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";
import { expectWholeOrGone } from "../support/whole-or-gone.ts";

const SEED = Number(process.env["SOAK_SEED"] || 20_261_122);
const OPERATIONS = Number(process.env["SOAK_OPERATIONS"] || 150);
/** The last part goes on without kills: memory can only be compared within one process. */
const CALM_SHARE = 0.4;
const KILL_CHANCE = 0.3;
/** Long enough for a kill to fall anywhere in any operation, and into what follows it. */
const LATEST_KILL_MS = 900;
const MOST_ENVIRONMENTS = 6;
/** With much memory Node collects little garbage, which looks like a leak; with this limit a leak ends the API. */
const SMALL_HEAP = "--max-old-space-size=96";
/** Memory outside of the heap comes and goes with the copies that stress outages make. */
const MOST_GROWTH_MB = 100;

const WEIGHTS = { create: 5, destroy: 3, outage: 5, recover: 3, extend: 1, halt: 1, read: 4, visit: 3 };

const random = createRandom(SEED);
const counts: Record<string, number> = { kills: 0 };

const LIMITS = { CREATE_TIMEOUT: "10", RATE_LIMIT: "0", CHANGES_LIMIT: "0" };
const platform = usePlatform({ ...LIMITS, NODE_OPTIONS: SMALL_HEAP, ...POOLS_AS_SHIPPED });

/** One operation on an environment chosen beforehand; its answer, the less good one where it asks twice. */
async function operate(kind: keyof typeof WEIGHTS, id: string, mode: string): Promise<AnyAnswer> {
  const { api, instance } = platform;
  switch (kind) {
    case "create":
      // A create without a name takes a warm environment, where there is one.
      return api.create({ ttl: 600, ...(mode === "crash" || mode === "pause" ? {} : { name: "soak" }) });
    case "destroy":
      return api.destroy(id);
    case "outage":
      return api.outage(id, mode, { duration: 3 });
    case "recover":
      return api.outage(id, "recover");
    case "extend":
      return api.extend(id, 30);
    case "halt":
      return api.call("POST", "/halt");
    case "read": {
      const [logs, health] = [await api.logs(id), await api.health(id)];
      return logs.status > health.status ? logs : health;
    }
    case "visit": {
      const answer = await visit(instance, `${id}.localhost`).catch(() => ({ status: 0 })); // a paused environment hangs
      return [502, 504, 0].includes(answer.status) ? { status: 200 } : answer;
    }
  }
}

/** One to three operations at once, chosen by the seed alone. */
async function chooseOperations(): Promise<(() => Promise<AnyAnswer>)[]> {
  const { body: living } = await platform.api.list();
  return Array.from({ length: 1 + random.below(3) }, () => {
    const chosen = random.weighted(WEIGHTS);
    const [place, mode] = [random.next(), OUTAGE_MODES[random.below(OUTAGE_MODES.length)] ?? "crash"];
    const id = living[Math.floor(place * living.length)]?.id;
    const kind =
      id === undefined ? "create" : chosen === "create" && living.length >= MOST_ENVIRONMENTS ? "destroy" : chosen;
    counts[kind] = (counts[kind] ?? 0) + 1;
    return () => operate(kind, id ?? "", mode);
  });
}

/** Runs operations, kills the platform among them, starts it again and checks what is left. */
async function killedAmong(operations: (() => Promise<AnyAnswer>)[], afterMs: number): Promise<void> {
  const outcomes = Promise.allSettled(operations.map((operation) => operation()));
  await sleep(afterMs); // no wait for a condition: the moment of the kill is chosen by the seed
  await platform.instance.stopApi("SIGKILL");
  counts["kills"] = (counts["kills"] ?? 0) + 1;
  await outcomes;
  await expectNothingLeftOver();
  await platform.instance.restartApi();
}

/**
 * Starts the platform without pools, so that it removes those of the former one and every object belongs to an
 * environment. Objects that the engine still makes for the dead platform are removed by the next reconcile.
 */
async function expectNothingLeftOver(): Promise<EnvironmentView[]> {
  const { instance } = platform;
  await instance.startApi({ ...NO_POOLS, RECONCILE_SCHEDULE: "*/5 * * * * *" });
  return waitUntil("every environment to be whole or gone", () => expectWholeOrGone(instance), 20_000, 500);
}

test(
  `${OPERATIONS} random operations among random kills leave every environment whole or gone (SOAK_SEED=${SEED} SOAK_OPERATIONS=${OPERATIONS})`,
  async () => {
    const { api, instance } = platform;
    const started = performance.now();
    const memory: number[] = [];
    for (let done = 0; done < OPERATIONS; ) {
      const calm = done >= OPERATIONS * (1 - CALM_SHARE);
      const operations = await chooseOperations();
      const [dies, afterMs] = [random.next() < KILL_CHANCE, random.next() * LATEST_KILL_MS];
      done += operations.length;
      if (dies && !calm) {
        await killedAmong(operations, afterMs);
        continue;
      }
      const answers = await Promise.all(operations.map((operation) => operation()));
      // Two at once may meet: the later one finds its environment busy, broken already, or gone.
      for (const answer of answers) expect([200, 201, 404, 409], describeAnswer(answer)).toContain(answer.status);
      if (calm) memory.push(residentMib(platform.instance));
    }
    for (const { id } of (await api.list()).body) expectStatus(await api.destroy(id), 200);
    await instance.stopApi("SIGTERM");
    expect(await expectNothingLeftOver()).toEqual([]);

    // Copies for several stress outages at once set the high-water mark, which comes early and then stays.
    const half = Math.ceil(memory.length / 2);
    const [first, last] = [Math.max(...memory.slice(0, half)), Math.max(...memory.slice(half))];
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(`soak: seed ${SEED}, ${seconds} s, ${JSON.stringify(counts)}, RSS ${first} → ${last} MiB`);
    expect(last - first).toBeLessThan(MOST_GROWTH_MB);
  },
  60_000 + OPERATIONS * 15_000,
);
