import type { Logger } from "../../kernel/logger.ts";
import type { Router } from "../../routing/router.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import type { LogStore } from "../../store/logs/log-store.ts";
import type { SecretStore } from "../../store/secrets/secret-store.ts";
import type { Workloads } from "../../workloads/workloads.ts";
import type { ActualState } from "./actual-state.ts";
import type { ReconcileReport } from "./report.ts";

export type OrphansDeps = {
  workloads: Pick<Workloads, "remove" | "tidy">;
  router: Pick<Router, "removeStrays">;
  environments: Pick<EnvironmentStore, "all" | "get">;
  logs: Pick<LogStore, "list" | "archive">;
  secrets: Pick<SecretStore, "list" | "remove">;
  /** Environments without a record that are on their way: admitted creations and the warm pool. */
  coming: { has(env: string): boolean; ids(): string[] };
  events: Pick<EventLog, "emit">;
  logger: Pick<Logger, "warn" | "error">;
  stopping: AbortSignal;
};

export type Orphans = {
  /** Removes what carries our label without a record. `kept`: environments that had one, or are protected. */
  removeObjects(actual: ActualState, kept: ReadonlySet<string>, report: ReconcileReport): Promise<void>;
  /** Removes objects that belong to no environment at all, such as networks of a killed platform's pool. */
  tidy(report: ReconcileReport): Promise<void>;
  /** Removes route files, logs and secrets that belong to no environment; `protectedIds` are left alone. */
  removeFiles(protectedIds: ReadonlySet<string>, report: ReconcileReport): Promise<void>;
};

export function createOrphans(deps: OrphansDeps): Orphans {
  const { workloads, router, environments, logs, secrets, coming, events, logger, stopping } = deps;

  const isKnown = (id: string): boolean => environments.get(id) !== null || coming.has(id);

  function note(kind: string, what: string, report: ReconcileReport): void {
    report.orphans.push(what);
    logger.warn({ kind, what }, "orphan removed");
    events.emit({ type: "orphan.removed", env_id: null, data: { kind, what } });
  }

  function noteObject(object: string, report: ReconcileReport): void {
    const kind = object.startsWith("network ") ? "remove-network" : "remove-container";
    note(kind, `${kind} ${object.split(" ")[1]}`, report);
  }

  return {
    async removeObjects(actual, kept, report) {
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

    async tidy(report) {
      if (stopping.aborted) return;
      for (const object of await workloads.tidy()) noteObject(object, report);
    },

    async removeFiles(protectedIds, report) {
      try {
        const known = [...environments.all().map(({ id }) => id), ...coming.ids(), ...protectedIds];
        for (const file of await router.removeStrays(new Set(known))) note("conf file", file, report);
        const isStray = (id: string) => !isKnown(id) && !protectedIds.has(id);
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
