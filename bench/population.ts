import PQueue from "p-queue";
import { BENCH_APP } from "./bench-app.ts";
import type { Workbench } from "./workbench.ts";

/** How many are made or removed at once where it is not what is measured. */
const AT_ONCE = 6;

/** The environments that the rows with many share; each runs the bench app. Names of others are left alone. */
export const MEMBER = "member";

/** The body of `POST /envs` for one of them. */
export function member(index: number): Record<string, unknown> {
  return { name: `${MEMBER}-${index}`, command: BENCH_APP };
}

/** Their ids, after as many as are missing have been made. */
export async function populate(bench: Workbench): Promise<string[]> {
  const present = (await bench.list()).filter(({ name }) => name.startsWith(MEMBER));
  const missing = Array.from({ length: Math.max(0, bench.many - present.length) });
  await severalAtOnce(missing.map((_, index) => () => bench.create(member(present.length + index))));
  await bench.quiet();
  return (await bench.list()).filter(({ name }) => name.startsWith(MEMBER)).map(({ id }) => id);
}

/** Runs all, a few at a time; rejects with the first failure. */
export async function severalAtOnce<T>(work: (() => Promise<T>)[]): Promise<T[]> {
  return new PQueue({ concurrency: AT_ONCE }).addAll(work);
}
