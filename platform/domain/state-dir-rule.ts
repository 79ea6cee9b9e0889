import { z } from "zod";

/** The sentinel file of a state folder: the folder's id, and the subnets that its environments were made with. */
export const SentinelSchema = z.object({ id: z.string().min(1), subnet_pool: z.string(), platform_subnet: z.string() });
export type Sentinel = z.infer<typeof SentinelSchema>;

export type StateDirFacts = {
  sentinel: Sentinel | null;
  /** The id that is kept outside of the folder; null where there is none. */
  copy: string | null;
  /** Ids of environments that have a state file, also a quarantined one. */
  environments: readonly string[];
};

/** How many environments a refusal names. */
const NAMED = 10;

/**
 * The sentinel to go on with, or why the platform must not start. In another folder than before, such as a mount that
 * is not up, no environment has a record, and a start would remove them all. The firewall and Nginx keep apart what
 * lies in `subnets`, so environments that were made with others would reach the machine and each other.
 */
export function checkStateDir(
  { sentinel, copy, environments }: StateDirFacts,
  subnets: Omit<Sentinel, "id">,
  newId: string,
): { sentinel: Sentinel } | { refusal: string } {
  if (copy !== null && sentinel?.id !== copy) {
    const found = sentinel === null ? "has no sentinel file" : "has another sentinel file";
    return {
      refusal:
        `it is not the one that this instance used before: it ${found}, and the environments, which may still run, ` +
        "would be removed. Restore the folder, with its hidden files, and start again; or run make down, which " +
        "destroys every environment, then start",
    };
  }
  const changes = sentinel === null || environments.length === 0 ? [] : describeChanges(sentinel, subnets);
  if (changes.length === 0) return { sentinel: { id: sentinel?.id ?? newId, ...subnets } };
  const more = environments.length > NAMED ? ` and ${environments.length - NAMED} more` : "";
  const named = environments.slice(0, NAMED).join(", ") + more;
  return {
    refusal:
      `${changes.join(", and ")} when these environments were made: ${named}. ` +
      "The firewall and Nginx would not keep them apart any more. Put the setting back and start again; or run make " +
      "down, which destroys every environment, then start",
  };
}

function describeChanges(before: Sentinel, now: Omit<Sentinel, "id">): string[] {
  return (["subnet_pool", "platform_subnet"] as const)
    .filter((key) => before[key] !== now[key])
    .map((key) => `${key.toUpperCase()} is ${now[key]} and was ${before[key]}`);
}
