import type { Workbench } from "./workbench.ts";

/**
 * Runs every side once a round, each after the engine has become quiet. The side that begins changes from round to
 * round, so that what drifts on the machine meets all sides.
 */
export async function byTurns(bench: Workbench, rounds: number, sides: (() => Promise<void>)[]): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      await bench.quiet();
      await side();
    }
    bench.progress(`${round + 1} of ${rounds}`);
  }
}
