import type { Needs } from "../deps.ts";
import type { ActualState } from "./actual-state.ts";

/** What one pass of the reconciler did. */
export type ReconcileReport = { repaired: string[]; retired: string[]; orphans: string[]; failed: string[] };

type OrphansDeps = Needs<
  "workloads" | "router" | "environments" | "logs" | "secrets" | "events" | "logger" | "stopping"
> & {
  /** Environments that are on their way to a record: admitted creations and the warm pool. */
  coming: () => string[];
};

export type Orphans = ReturnType<typeof createOrphans>;

/** Removes what belongs to no environment, and reports it. */
export function createOrphans(deps: OrphansDeps) {
  const { workloads, router, environments, logs, secrets, coming, events, logger, stopping } = deps;

  const isKnown = (id: string): boolean => environments.get(id) !== null || coming().includes(id);

  function note(kind: string, what: string, report: ReconcileReport): void {
    report.orphans.push(what);
    logger.warn({ kind, what }, "orphan removed");
    events.emit({ type: "orphan.removed", env_id: null, data: { kind, what } });
  }

  /** `object`: its kind and name, such as `container sandbox-env-x-app`. */
  function noteObject(object: string, report: ReconcileReport): void {
    const [kind, name] = object.split(" ");
    note(`remove-${kind}`, `remove-${kind} ${name}`, report);
  }

  return {
    /** Removes objects that carry our label and have no record. `kept`: environments that had one, or are protected. */
    async removeObjects(actual: ActualState, kept: ReadonlySet<string>, report: ReconcileReport): Promise<void> {
      for (const [env, { objects }] of actual.environments) {
        if (stopping.aborted) return;
        if (kept.has(env) || isKnown(env)) continue;
        try {
          await workloads.remove(env, { requestsInFlight: true });
          for (const object of objects) noteObject(object, report);
        } catch (error) {
          report.failed.push(`remove-workloads ${env}`);
          logger.error({ err: error, env_id: env }, "cannot remove an orphan; trying again in a minute");
        }
      }
    },

    /** Removes objects that carry no environment's label, such as networks of a killed platform's pool. */
    async tidy(report: ReconcileReport): Promise<void> {
      if (stopping.aborted) return;
      for (const object of await workloads.tidy()) noteObject(object, report);
    },

    /** Removes route files, logs and secrets that belong to no environment. */
    async removeFiles(protectedIds: ReadonlySet<string>, report: ReconcileReport): Promise<void> {
      const isStray = (id: string) => !isKnown(id) && !protectedIds.has(id);
      try {
        const known = [...environments.all().map(({ id }) => id), ...coming(), ...protectedIds];
        for (const file of await router.removeStrays(new Set(known))) note("conf file", file, report);
        for (const id of (await logs.list()).filter(isStray)) {
          await logs.archive(id);
          note("logs", id, report);
        }
        for (const id of (await secrets.list()).filter(isStray)) {
          await secrets.remove(id);
          note("secrets", id, report);
        }
      } catch (error) {
        logger.error({ err: error }, "cannot remove stray files; trying again in a minute");
      }
    },
  };
}
