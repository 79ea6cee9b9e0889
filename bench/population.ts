import PQueue from "p-queue";
import { BENCH_APP } from "./bench-app.ts";
import type { Workbench } from "./workbench.ts";

/** How many calls run at once where they are not what is measured. */
const AT_ONCE = 6;

/** Begins the names of the environments that the rows with many share. */
const MEMBER = "member";

/** The body of `POST /envs` for one of them. */
export function member(index: number): Record<string, unknown> {
  return { name: `${MEMBER}-${index}`, command: BENCH_APP };
}

/** Creates the members that are missing, and resolves to the ids of all. */
export async function populate(bench: Workbench): Promise<string[]> {
  const members = async () => (await bench.list()).filter(({ name }) => name.startsWith(MEMBER));
  const { length } = await members();
  const missing = Array.from({ length: Math.max(0, bench.many - length) }, (_, index) => length + index);
  await severalAtOnce(missing.map((index) => () => bench.create(member(index))));
  await bench.quiet();
  return (await members()).map(({ id }) => id);
}

/** Runs all, a few at a time; rejects with the first failure. */
export async function severalAtOnce<T>(work: (() => Promise<T>)[]): Promise<T[]> {
  return new PQueue({ concurrency: AT_ONCE }).addAll(work);
}
