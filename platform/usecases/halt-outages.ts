import { describeError, isPlatformError, type ErrorCode } from "../domain/errors.ts";
import type { Context } from "./context.ts";
import { recoverEnvironment } from "./recover.ts";

/** Which environments are well again, and which are not, and why. */
export type HaltReport = {
  recovered: string[];
  failed: { id: string; code: ErrorCode; detail: string }[];
};

/** Ends every running outage, all at once. One that cannot be ended keeps no other from ending. */
export async function haltOutages(context: Context): Promise<HaltReport> {
  const report: HaltReport = { recovered: [], failed: [] };
  const broken = context.environments.all().filter(({ outage }) => outage !== null);
  await Promise.all(broken.map(({ id }) => end(context, id, report)));
  return report;
}

async function end(context: Context, id: string, report: HaltReport): Promise<void> {
  try {
    await recoverEnvironment(context, id);
    report.recovered.push(id);
  } catch (error) {
    // Being destroyed meanwhile ends an outage as well.
    if (isPlatformError(error, "environment_not_found") || context.environments.get(id) === null) return;
    const code = isPlatformError(error) ? error.code : "internal_error";
    if (code === "internal_error") context.logger.error({ err: error, env_id: id }, "cannot end an outage");
    report.failed.push({ id, code, detail: describeError(error) });
  }
}
