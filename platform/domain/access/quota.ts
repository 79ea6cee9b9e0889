import type { ErrorCode } from "../../kernel/errors.ts";
import type { EnvironmentRecord, Resources } from "../environment/record.ts";

/** Processes and threads that one container may ask for: a machine may have no more than 32,768 in all. */
export const MAX_PIDS_EACH = 4_096;

/** What may be committed at most; 0 is no limit. */
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

/** One environment that counts: its owner, and the resources that are committed to it. */
export type Commitment = Pick<EnvironmentRecord, "id" | "owner"> & { services: { resources: Resources }[] };

/**
 * Why one more environment does not fit beside the present ones, which count until they are gone; null when it fits.
 * The owner's limit is checked first, since the owner can do something about it.
 */
export function checkQuota(
  present: readonly Commitment[],
  wanted: { owner: string | null; resources: Resources },
  limits: QuotaLimits,
): QuotaRefusal | null {
  const owned = present.filter(({ owner }) => owner === wanted.owner).length;
  if (wanted.owner !== null && isOver(owned + 1, limits.environmentsPerOwner)) {
    const numbers = `"${wanted.owner}" has ${owned} of ${limits.environmentsPerOwner} (MAX_ENVS_PER_OWNER)`;
    const detail = `Cannot create an environment: ${numbers}. Destroy one of them first.`;
    return { code: "quota_exceeded", detail };
  }
  if (isOver(present.length + 1, limits.environments))
    return exhausted(`${present.length} of ${limits.environments} environments exist`, "MAX_ENVS");
  return checkMachine(present, wanted.resources, limits);
}

/** Why the machine has no room for one more, whatever the number of environments and their owners; null when it has. */
export function checkMachine(
  present: readonly Commitment[],
  wanted: Resources,
  limits: Pick<QuotaLimits, "memoryMb" | "cpus" | "pids">,
): QuotaRefusal | null {
  const demands = [
    [({ memory_mb }: Resources) => memory_mb, limits.memoryMb, "MiB of memory", "MAX_MEMORY_MB"],
    [({ cpus }: Resources) => cpus, limits.cpus, "CPUs", "MAX_CPUS"],
    [({ pids }: Resources) => pids, limits.pids, "processes", "MAX_PIDS"],
  ] as const;
  for (const [amountOf, limit, unit, setting] of demands) {
    const committed = rounded(sum(present, amountOf));
    const asked = amountOf(wanted);
    if (isOver(committed + asked, limit))
      return exhausted(`${committed} of ${limit} ${unit} are committed, and it asks for ${asked}`, setting);
  }
  return null;
}

/** How many warm environments, oldest first, must go so that the machine has room for the rest beside the committed ones. */
export function countToEvict(
  committed: readonly Commitment[],
  warm: readonly Commitment[],
  limits: Pick<QuotaLimits, "memoryMb" | "cpus" | "pids">,
): number {
  const nothingMore = { memory_mb: 0, cpus: 0, pids: 0 };
  const fits = (count: number) => checkMachine([...committed, ...warm.slice(count)], nothingMore, limits) === null;
  let count = 0;
  while (count < warm.length && !fits(count)) count++;
  return count;
}

function exhausted(numbers: string, setting: string): QuotaRefusal {
  const detail = `Cannot create an environment: ${numbers} (${setting}).`;
  return { code: "capacity_exhausted", detail: `${detail} Ask for less, or try again when others have ended.` };
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
