import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { apiClient } from "../support/api-client.ts";
import { expectStatus } from "../support/expect-status.ts";
import { createTestInstance, type TestInstance } from "../support/test-instance.ts";

const AT_ONCE = 5;
/** What is loaded, compiled and sized when it is first used. */
const WARM_UP_ROUNDS = 4;
const ROUNDS = 9;
/** Of rounds that are compared: the first and the last so many. */
const COMPARED = 3;
/** A megabyte for each environment that came and went between the two. */
const MOST_GROWTH_MB = AT_ONCE * (ROUNDS - COMPARED);

let instance: TestInstance;
let api: ReturnType<typeof apiClient>;

beforeAll(async () => {
  instance = await createTestInstance({ RATE_LIMIT: "0", CHANGES_LIMIT: "0" });
  api = apiClient(instance);
  await instance.startApi();
});

afterAll(() => instance?.remove());

/** Environments come, break, are repaired, read, and go; resident memory in MiB at the end. */
async function round(): Promise<number> {
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      const { id } = expectStatus(await api.create({ name: "memory" }), 201).body;
      expectStatus(await api.outage(id, "pause"), 200);
      expectStatus(await api.outage(id, "recover"), 200);
      for (let read = 0; read < 20; read++) await Promise.all([api.list(), api.logs(id), api.health(id)]);
      expectStatus(await api.destroy(id), 200);
    }),
  );
  const status = readFileSync(`/proc/${instance.pid()}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

test("memory stays flat while environments come and go", async () => {
  for (let warmUp = 0; warmUp < WARM_UP_ROUNDS; warmUp++) await round();
  const memory: number[] = [];
  for (let measured = 0; measured < ROUNDS; measured++) memory.push(await round());
  const median = (part: number[]) => part.toSorted((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
  const growth = median(memory.slice(-COMPARED)) - median(memory.slice(0, COMPARED));
  console.log(`memory: ${memory.map(Math.round).join(", ")} MiB`);
  expect(growth).toBeLessThan(MOST_GROWTH_MB);
}, 300_000);
