import { machineNow } from "./machine-pace.ts";
import type { LoopFigures } from "./open-loop.ts";

/**
 * So many callers for so long, each of which calls `ask` again as soon as it is answered, as wrk's connections do. A
 * latency counts from its call. Throws where a call is not answered.
 */
export async function closedLoop(
  { callers, seconds, signal }: { callers: number; seconds: number; signal?: AbortSignal },
  ask: () => Promise<unknown>,
): Promise<LoopFigures> {
  const result: LoopFigures = { latencies: [], dues: [], lateness: [], failures: {} };
  const end = machineNow() + seconds * 1000;

  async function callOnAndOn(): Promise<void> {
    for (let from = machineNow(); from < end; ) {
      if (signal?.aborted === true) break;
      await ask();
      const now = machineNow();
      result.latencies.push(now - from);
      result.dues.push(from);
      from = now;
    }
  }

  await Promise.all(Array.from({ length: callers }, callOnAndOn));
  return result;
}
