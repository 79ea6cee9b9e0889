import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { HealthCheck } from "../../platform/domain/health-rule.ts";
import { atMost, type Line } from "../line.ts";
import { logFilesOf } from "../log-files.ts";
import { populate, severalAtOnce } from "../population.ts";
import { spreadOf } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const SHARE_HANGING = 1 / 4;
/** As by default: HEALTH_TIMEOUT and HEALTH_SCHEDULE. */
const LIMIT_S = 5;
const EVERY_S = 30;
const SWEEPS = 2;
/** After the last one is due: whatever a sweep takes beyond its limit is to be seen. */
const TAIL_S = 20;

/**
 * How long a sweep takes while a quarter of the environments accept and never answer: from the moment it
 * is due to the end of its last check, by the environments' own health logs.
 */
export async function measureHealthSweep(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  const ids = await populate(bench);
  const hanging = ids.slice(0, Math.round(ids.length * SHARE_HANGING));
  await severalAtOnce(hanging.map((id) => () => bench.visit(id, "/hang")));
  try {
    const first = Math.ceil((Date.now() + 1000) / (EVERY_S * 1000)) * EVERY_S * 1000;
    const dues = Array.from({ length: SWEEPS }, (_, index) => first + index * EVERY_S * 1000);
    const last = (dues.at(-1) ?? first) + TAIL_S * 1000;
    await sleep(last - Date.now(), undefined, { signal: bench.signal });
    const checks = (await Promise.all(ids.map((id) => readChecks(bench, id)))).flat();
    const sweeps = dues.map((due) => sweepOf(checks, due));
    for (const { total, silent } of sweeps) {
      if (total < ids.length || silent < hanging.length)
        throw new Error(
          `A sweep made ${total} checks of ${ids.length}, ${silent} without an answer where ${hanging.length} hang`,
        );
    }
    const platform = spreadOf(sweeps.map(({ ms }) => ms));
    const what = `a health sweep of ${ids.length}, ${hanging.length} of them hanging, over the limit of ${LIMIT_S} s`;
    const line = { row: "sweep", what, unit: "ms", bare: null, platform, figureUnit: "×", goal: atMost(1.2) };
    return { lines: [{ ...line, figure: platform.median / (LIMIT_S * 1000) }], raw: sweeps };
  } finally {
    await severalAtOnce(hanging.map((id) => () => bench.visit(id, "/wake")));
  }
}

/** The checks that began within a sweep's time. */
function sweepOf(checks: HealthCheck[], due: number): { ms: number; total: number; silent: number } {
  const began = ({ timestamp }: HealthCheck): number => Date.parse(timestamp);
  const own = checks.filter((check) => began(check) >= due && began(check) < due + EVERY_S * 1000);
  const ends = own.map((check) => began(check) + check.latency_ms - due);
  return { ms: Math.max(0, ...ends), total: own.length, silent: own.filter(({ status }) => status === null).length };
}

async function readChecks(bench: Workbench, id: string): Promise<HealthCheck[]> {
  const files = await logFilesOf(bench, id, "health.log");
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return texts
    .join("")
    .split("\n")
    .filter(Boolean)
    .map((text) => JSON.parse(text) as HealthCheck);
}
