import { expect, test } from "vitest";
import { usePlatform } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { residentMib } from "../support/resident-memory.ts";

const AT_ONCE = 5;
/** Rounds in which code is loaded and compiled, and caches grow to their size. */
const WARM_UP_ROUNDS = 3;
const ROUNDS = 8;
/** The first and the last so many rounds are compared. */
const COMPARED = 3;
/** A megabyte for each environment that came and went between the two. */
const MOST_GROWTH_MB = AT_ONCE * (ROUNDS - COMPARED);

const platform = usePlatform({ RATE_LIMIT: "0", CHANGES_LIMIT: "0" });

/** Environments come, break, are repaired, read, and go; resident memory in MiB at the end. */
async function round(): Promise<number> {
  const { api } = platform;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      const { id } = expectStatus(await api.create({ name: "memory" }), 201).body;
      expectStatus(await api.outage(id, "pause"), 200);
      expectStatus(await api.outage(id, "recover"), 200);
      for (let read = 0; read < 10; read++) await Promise.all([api.list(), api.logs(id), api.health(id)]);
      expectStatus(await api.destroy(id), 200);
    }),
  );
  return residentMib(platform.instance);
}

test("memory stays flat while environments come and go", async () => {
  for (let warmUp = 0; warmUp < WARM_UP_ROUNDS; warmUp++) await round();
  const memory: number[] = [];
  for (let measured = 0; measured < ROUNDS; measured++) memory.push(await round());
  const median = (part: number[]) => part.toSorted((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
  const growth = median(memory.slice(-COMPARED)) - median(memory.slice(0, COMPARED));
  console.log(`memory: ${memory.join(", ")} MiB`);
  expect(growth).toBeLessThan(MOST_GROWTH_MB);
}, 300_000);
