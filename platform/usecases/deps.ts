import type { Clock } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { IdleQueue } from "../kernel/idle-queue.ts";
import type { KeyedLock } from "../kernel/keyed-lock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { TaskTracker } from "../kernel/task-tracker.ts";
import type { Probe } from "../probes/probe.ts";
import type { Router } from "../routing/router.ts";
import type { AuditLog } from "../store/journal/audit-log.ts";
import type { EventLog } from "../store/journal/event-log.ts";
import type { LogStore } from "../store/logs/log-store.ts";
import type { SecretStore } from "../store/secrets/secret-store.ts";
import type { EnvironmentStore } from "../store/state/environment-store.ts";
import type { Workloads } from "../workloads/workloads.ts";
import type { Settings } from "./settings.ts";

/** What more than one use-case takes, narrowed to what use-cases may do with it. */
export type CommonDeps = {
  workloads: Workloads;
  router: Router;
  probe: Pick<Probe, "check">;
  environments: EnvironmentStore;
  secrets: SecretStore;
  logs: LogStore;
  events: Pick<EventLog, "emit">;
  audit: Pick<AuditLog, "append">;
  clock: Clock;
  logger: Logger;
  settings: Settings;
  /** One operation at a time per environment id. */
  locks: KeyedLock;
  /** Background work that the end of the platform waits for. */
  tasks: Pick<TaskTracker, "track">;
  idle: IdleQueue;
  failpoint: Failpoint;
  /** Aborts when the platform is told to stop: waits end, operations in progress are finished. */
  stopping: AbortSignal;
  /** Aborts some seconds later: no further step begins. The next start finishes or undoes what is on record. */
  shutdownDeadline: AbortSignal;
};

/** The dependencies of these names: a use-case names the ones that it takes. */
export type Needs<Names extends keyof CommonDeps> = Pick<CommonDeps, Names>;
