import { availableParallelism } from "node:os";
import PQueue from "p-queue";

/** More at once only wait for each other inside the engine (docs/performance.md). */
const AT_ONCE = Math.max(4, availableParallelism());
/** The engine makes and removes one network after the other, under a lock: one that is in there, and the next right behind it. */
const NETWORKS_AT_ONCE = 2;

/**
 * Whose turn a change at the engine is. What `continues` another change comes before what `begins` something new: the
 * first of many has its network removed while others are still to be killed, and the engine has something of every kind
 * to do all the while. Making and removing a `network` has turns of its own, as waiting in there would use up others'.
 */
export type Turn = "begins" | "continues" | "network";

/** Does `work` once it is its turn. Of the same kind, who asks first comes first. */
export type Turns = <T>(turn: Turn, work: () => Promise<T>) => Promise<T>;

/** Turns for one engine. */
export function createTurns(): Turns {
  const networks = new PQueue({ concurrency: NETWORKS_AT_ONCE });
  const others = new PQueue({ concurrency: AT_ONCE });
  return (turn, work) =>
    turn === "network" ? networks.add(work) : others.add(work, { priority: turn === "continues" ? 1 : 0 });
}
