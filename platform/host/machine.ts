import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import type { Config } from "../config.ts";
import type { QuotaLimits } from "../domain/access/quota.ts";

/** What there is to promise: MiB of memory, cores, and processes and threads at once. */
export type Machine = { memoryMb: number; cpus: number; pids: number };

/** Of memory and of processes, what environments are promised together unless a setting says otherwise: the rest is for what serves them. */
const MEMORY_SHARE = 0.9;
const PIDS_SHARE = 0.8;
/** Times that each core is promised: environments are idle most of the time, and a core that is wanted by many gets slower, not full. */
const CPU_OVERCOMMIT = 100;

export function thisMachine(): Machine {
  return { memoryMb: Math.floor(totalmem() / 2 ** 20), cpus: availableParallelism(), pids: kernelPids() };
}

/** What may be promised at most: the settings', or a share of the machine where they leave it to that. */
export function quotaOf(config: Config, machine: Machine): QuotaLimits {
  return {
    environments: config.MAX_ENVS,
    environmentsPerOwner: config.MAX_ENVS_PER_OWNER,
    memoryMb: orShare(config.MAX_MEMORY_MB, machine.memoryMb * MEMORY_SHARE),
    cpus: orShare(config.MAX_CPUS, machine.cpus * CPU_OVERCOMMIT),
    pids: orShare(config.MAX_PIDS, machine.pids * PIDS_SHARE),
  };
}

function orShare(setting: number | "", share: number): number {
  return setting === "" ? Math.floor(share) : setting;
}

/** Neither more numbers than `pid_max` are given out, nor more threads than `threads-max`; 0, no limit, where the kernel does not tell. */
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
