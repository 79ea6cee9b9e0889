import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import type { QuotaLimits } from "../domain/access/quota.ts";

/** What the machine has: MiB of memory, cores, and processes and threads that may exist at once. */
export type Machine = { memoryMb: number; cpus: number; pids: number };

/** The settings of the same names; "" stands for a share of the machine. */
type QuotaSettings = Record<"MAX_ENVS" | "MAX_ENVS_PER_OWNER", number> &
  Record<"MAX_MEMORY_MB" | "MAX_CPUS" | "MAX_PIDS", number | "">;

/** Shares of memory and of processes that all environments get together; the rest is for the platform and the system. */
const MEMORY_SHARE = 0.9;
const PIDS_SHARE = 0.8;
/** Times that each core is promised: most environments are idle, and a core in demand gets slower instead of full. */
const CPU_OVERCOMMIT = 100;

/** Measures this machine. */
export function thisMachine(): Machine {
  return { memoryMb: Math.floor(totalmem() / 2 ** 20), cpus: availableParallelism(), pids: kernelPids() };
}

/** The limits of the settings, or a share of the machine where a setting is "". */
export function quotaOf(settings: QuotaSettings, machine: Machine): QuotaLimits {
  return {
    environments: settings.MAX_ENVS,
    environmentsPerOwner: settings.MAX_ENVS_PER_OWNER,
    memoryMb: orShare(settings.MAX_MEMORY_MB, machine.memoryMb * MEMORY_SHARE),
    cpus: orShare(settings.MAX_CPUS, machine.cpus * CPU_OVERCOMMIT),
    pids: orShare(settings.MAX_PIDS, machine.pids * PIDS_SHARE),
  };
}

function orShare(setting: number | "", share: number): number {
  return setting === "" ? Math.floor(share) : setting;
}

/** The smaller of the kernel's `pid_max` and `threads-max`; 0, no limit, where one cannot be read. */
function kernelPids(): number {
  const limits = ["pid_max", "threads-max"].map((name) => {
    try {
      return Number(readFileSync(`/proc/sys/kernel/${name}`, "utf8"));
    } catch {
      return 0;
    }
  });
  return Math.min(...limits);
}
