import type { ErrorCode } from "../../kernel/errors.ts";
import type { EnvironmentRecord, Resources } from "../environment/record.ts";

/** Processes and threads that one container may ask for: a machine may have no more than 32,768 in all. */
export const MAX_PIDS_EACH = 4_096;

/** What may be promised at most; 0 is no limit. */
export type QuotaLimits = {
  environments: number;
  environmentsPerOwner: number;
  /** MiB, all environments together. */
  memoryMb: number;
  /** Cores, all environments together. */
  cpus: number;
  /** Processes and threads, all environments together. */
  pids: number;
};

export type QuotaRefusal = { code: Extract<ErrorCode, "quota_exceeded" | "capacity_exhausted">; detail: string };

/** What counts: whose it is and what is promised to it. */
export type Commitment = Pick<EnvironmentRecord, "id" | "owner"> & { services: { resources: Resources }[] };

/**
 * Whether one more environment fits beside those there are, which count until they are gone; null
 * when it does. An owner's own limit is told first: that one the owner can do something about.
 */
export function checkQuota(
  present: readonly Commitment[],
  wanted: { owner: string | null; resources: Resources },
  limits: QuotaLimits,
): QuotaRefusal | null {
  const owned = present.filter(({ owner }) => owner === wanted.owner).length;
  if (wanted.owner !== null && isOver(owned + 1, limits.environmentsPerOwner)) {
    return {
      code: "quota_exceeded",
      detail: `Cannot create an environment: "${wanted.owner}" has ${owned} of ${limits.environmentsPerOwner} (MAX_ENVS_PER_OWNER). Destroy one of them first.`,
    };
  }
  if (isOver(present.length + 1, limits.environments)) {
    return exhausted(`${present.length} of ${limits.environments} environments exist`, "MAX_ENVS");
  }
  return checkMachine(present, wanted.resources, limits);
}

/** Whether the machine has room for one more, whosever it is and however many there are; null when it does. */
export function checkMachine(
  present: readonly Commitment[],
  wanted: Resources,
  limits: Pick<QuotaLimits, "memoryMb" | "cpus" | "pids">,
): QuotaRefusal | null {
  const memory = sum(present, ({ memory_mb }) => memory_mb);
  if (isOver(memory + wanted.memory_mb, limits.memoryMb)) {
    return exhausted(
      `${memory} of ${limits.memoryMb} MiB of memory are promised and it asks for ${wanted.memory_mb}`,
      "MAX_MEMORY_MB",
    );
  }
  const cpus = sum(present, (resources) => resources.cpus);
  if (isOver(cpus + wanted.cpus, limits.cpus)) {
    return exhausted(`${rounded(cpus)} of ${limits.cpus} CPUs are promised and it asks for ${wanted.cpus}`, "MAX_CPUS");
  }
  const pids = sum(present, (resources) => resources.pids);
  if (isOver(pids + wanted.pids, limits.pids)) {
    return exhausted(`${pids} of ${limits.pids} processes are promised and it asks for ${wanted.pids}`, "MAX_PIDS");
  }
  return null;
}

/** How many of what was made ahead, the oldest first, must go so that the machine has room for the rest beside what is promised. */
export function countToEvict(
  promised: readonly Commitment[],
  ahead: readonly Commitment[],
  limits: Pick<QuotaLimits, "memoryMb" | "cpus" | "pids">,
): number {
  const nothingMore = { memory_mb: 0, cpus: 0, pids: 0 };
  const fits = (count: number) => checkMachine([...promised, ...ahead.slice(count)], nothingMore, limits) === null;
  let count = 0;
  while (count < ahead.length && !fits(count)) count++;
  return count;
}

function exhausted(numbers: string, setting: string): QuotaRefusal {
  return {
    code: "capacity_exhausted",
    detail: `Cannot create an environment: ${numbers} (${setting}). Ask for less, or try again when others have ended.`,
  };
}

function isOver(amount: number, limit: number): boolean {
  return limit > 0 && rounded(amount) > limit;
}

function sum(present: readonly Commitment[], amountOf: (resources: Resources) => number): number {
  return present.flatMap(({ services }) => services).reduce((total, { resources }) => total + amountOf(resources), 0);
}

/** Fractions of CPUs add up with an error in the last digits; thousandths are fine enough. */
function rounded(amount: number): number {
  return Math.round(amount * 1000) / 1000;
}
