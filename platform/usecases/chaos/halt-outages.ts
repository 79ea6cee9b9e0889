import { isUp } from "../../domain/environment/record.ts";
import { describeError, isPlatformError, type ErrorCode } from "../../kernel/errors.ts";
import type { Context } from "../context.ts";
import { recoverEnvironment } from "./recover-environment.ts";

/** Which environments are well again, and which are not, and why. */
export type HaltReport = {
  recovered: string[];
  failed: { id: string; code: ErrorCode; detail: string }[];
};

/** Ends every running outage, all at once; of what is being destroyed nothing is left to recover. One that cannot be ended keeps no other from ending. */
export async function haltOutages(context: Context): Promise<HaltReport> {
  const report: HaltReport = { recovered: [], failed: [] };
  const broken = context.environments.all().filter((record) => record.outage !== null && isUp(record));
  await Promise.all(broken.map(({ id }) => end(context, id, report)));
  return report;
}

async function end(context: Context, id: string, report: HaltReport): Promise<void> {
  try {
    await recoverEnvironment(context, id);
    report.recovered.push(id);
  } catch (error) {
    // Being destroyed meanwhile ends an outage as well.
    const record = context.environments.get(id);
    if (record === null || !isUp(record)) return;
    const code = isPlatformError(error) ? error.code : "internal_error";
    if (code === "internal_error") context.logger.error({ err: error, env_id: id }, "cannot end an outage");
    report.failed.push({ id, code, detail: describeError(error) });
  }
}
