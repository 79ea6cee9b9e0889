import { setTimeout as sleep } from "node:timers/promises";
import { besideCallers } from "../beside-callers.ts";
import { byTurns } from "../by-turns.ts";
import { atMost, ratioLine, type Line } from "../line.ts";
import { severalAtOnce } from "../population.ts";
import { spreadOf } from "../statistics.ts";
import { timed, type Workbench } from "../workbench.ts";

const CALLER = { count: 1, everyMs: 1_000 };
const ACQUIRE_EVERY_MS = 3_000;
/** Of one turn. More than the pool holds, so that most of them come from a refill. */
const ACQUIRES = 5;

/**
 * `POST /envs {}` beside one caller who creates and destroys a named environment every second. By turns the pool is
 * left full and drained: the caller's creates beside the full pool are the baseline of both figures.
 */
export async function measureWarmBesideCaller(bench: Workbench): Promise<{ lines: Line[]; raw: unknown }> {
  await bench.withSettings({ WARM_POOL_SIZE: "2" });
  const [besideFull, besideDrained, warm]: [number[], number[], number[]] = [[], [], []];
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: bench.signal });

  async function leaveFull(): Promise<void> {
    besideFull.push(...(await besideCallers(bench, CALLER, () => pause(ACQUIRES * ACQUIRE_EVERY_MS))));
  }

  async function drain(): Promise<void> {
    const ids: string[] = [];
    const creates = await besideCallers(bench, CALLER, async () => {
      for (let index = 0; index < ACQUIRES; index++) {
        await pause(ACQUIRE_EVERY_MS);
        const { result, ms } = await timed(() => bench.create({}));
        warm.push(ms);
        ids.push(result.id);
      }
    });
    besideDrained.push(...creates);
    // Only now: the caller is to pay for the refill alone.
    await severalAtOnce(ids.map((id) => () => bench.destroy(id)));
  }

  await byTurns(bench, Math.ceil(bench.samples / ACQUIRES), [leaveFull, drain]);
  const line = { row: "warm-beside-caller", unit: "ms", baseline: spreadOf(besideFull) };
  return {
    lines: [
      ratioLine({
        ...line,
        what: `POST /envs {} every ${ACQUIRE_EVERY_MS / 1000} s over the named creates of a caller beside it`,
        platform: spreadOf(warm),
        goal: atMost(0.1),
      }),
      ratioLine({
        ...line,
        what: "that caller's creates while the warm pool is drained over those while it is full",
        platform: spreadOf(besideDrained),
        goal: null,
      }),
    ],
    raw: { besideFull, besideDrained, warm },
  };
}
