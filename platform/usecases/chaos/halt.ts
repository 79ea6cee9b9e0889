import { isUp } from "../../domain/environment/record.ts";
import { describeError, isPlatformError, type ErrorCode } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";
import type { RecoverEnvironment } from "./recovery.ts";

/** Which environments have recovered, and which have not, and why. */
export type HaltReport = {
  recovered: string[];
  failed: { id: string; code: ErrorCode; detail: string }[];
};

type HaltDeps = Needs<"environments" | "logger"> & { recover: RecoverEnvironment };

/** Ends every running outage, all at once. An outage that cannot be ended keeps no other from ending. */
export function createHalt({ environments, logger, recover }: HaltDeps) {
  async function end(id: string, report: HaltReport): Promise<void> {
    try {
      await recover(id);
      report.recovered.push(id);
    } catch (error) {
      // A destruction meanwhile ends an outage as well.
      const record = environments.get(id);
      if (record === null || !isUp(record)) return;
      const code = isPlatformError(error) ? error.code : "internal_error";
      if (code === "internal_error") logger.error({ err: error, env_id: id }, "cannot end an outage");
      report.failed.push({ id, code, detail: describeError(error) });
    }
  }

  return async (): Promise<HaltReport> => {
    const report: HaltReport = { recovered: [], failed: [] };
    const broken = environments.all().filter((record) => record.outage !== null && isUp(record));
    await Promise.all(broken.map(({ id }) => end(id, report)));
    return report;
  };
}
