import type { EnvironmentRecord, NetworkRecord, Resources } from "../domain/environment/record.ts";
import type { PublicAddress } from "../domain/environment/view.ts";
import type { Commitment, QuotaLimits } from "../domain/access/quota.ts";
import type { SubnetAllocator } from "../domain/network/subnets.ts";
import type { Engine } from "../workloads/docker/engine.ts";
import type { Router } from "../routing/router.ts";
import type { Probe } from "../probes/probe.ts";
import type { Clock } from "../kernel/clock.ts";
import type { KeyedLock } from "../kernel/keyed-lock.ts";
import type { Logger } from "../kernel/logger.ts";
import { createTaskTracker, type TaskTracker } from "../kernel/task-tracker.ts";
import type { ArchiveStore } from "../store/archive/archive-store.ts";
import type { AuditLog } from "../store/journal/audit-log.ts";
import type { DiskSpace, Firewall } from "../store/store.ts";
import type { EnvironmentStore } from "../store/state/environment-store.ts";
import type { EventLog } from "../store/journal/event-log.ts";
import type { LogStore } from "../store/logs/log-store.ts";
import type { SecretStore } from "../store/secrets/secret-store.ts";
import type { TokenStore } from "../store/tokens/token-store.ts";
import type { Failpoint } from "./failpoint-saves.ts";
import type { LogShippers } from "./logs/ship-logs.ts";
import type { TakenSubnets } from "./pool/taken-subnets.ts";

/** What the use-cases need to know of the configuration. Times in seconds. */
export type Settings = {
  instance: string;
  publicAddress: PublicAddress;
  nginxContainer: string;
  /** Nginx's own in the platform's network. */
  nginxAddress: string;
  defaultImage: string;
  stressImage: string;
  defaultPort: number;
  defaultTtl: number;
  maxTtl: number;
  createTimeout: number;
  defaultResources: Resources;
  quota: QuotaLimits;
  /** How many networks are kept ready, and how many environments of the default image and of each of `warmImages`. */
  networkPoolSize: number;
  warmPoolSize: number;
  warmImages: readonly string[];
  healthTimeout: number;
  healthConcurrency: number;
  /** Bytes that must be free for a new environment. */
  minFreeDisk: number;
  /** How long, and in how many bytes, the logs of destroyed environments are kept. */
  archiveMaxAge: number;
  archiveMaxSize: number;
};

/** Consecutive failed probes by environment id. In memory: after a restart counting begins anew. */
export type FailureCounts = Map<string, number>;

/** An outage that is over and could not be ended: which, how often that failed, and when on the monotonic clock it is tried again. */
export type OutageRetry = { startedAt: string; failures: number; dueAt: number };

/** An operation that a later one may join or cut short. */
export type Ongoing = {
  /** Creations under way, by id. */
  creating: Map<string, Creation>;
  /** Destructions under way: a second call joins the first. Null is the end of one that was called off. */
  destroying: Map<string, Promise<DestroyedEnvironment | null>>;
  /** Expiries under way: the next sweep leaves them alone. */
  expiring: Set<string>;
  /** Creations by Idempotency-Key, until their record is there to be found. */
  idempotent: Map<string, { digest: string; result: Promise<EnvironmentRecord> }>;
  /** Creations that count towards the quotas before their record is saved, by id. */
  admitted: Map<string, EnvironmentRecord>;
  /** Places of creations whose image is being looked for. */
  reserved: Set<Commitment>;
};

/** What may cut the health gate of a creation short: somebody destroys it, or the engine reports that its container ended. */
export type Creation = { cancel: AbortController; died: AbortController };

/**
 * What was made before anybody asked for it. In memory alone: what a killed platform leaves of it belongs to no
 * record, so the next start removes it and makes its own.
 */
export type Ahead = {
  /** Networks with Nginx on them, ready to be an environment's; oldest first. */
  networks: NetworkRecord[];
  /** Names of those that Nginx has left since: nobody gets one, and the reconciler makes another. */
  withoutIngress: Set<string>;
  /** Environments that run, routed and closed, until somebody's lease begins; oldest first. */
  spares: Spare[];
  /** Names of networks being made or removed. */
  changing: Set<string>;
  /** The making under way. */
  filling: Promise<void> | null;
  /** Why the last thing could not be made; null when it could. */
  trouble: string | null;
};

/** `state`: only a ready one is given away; one that is being made or removed is nobody else's to touch. */
export type Spare = {
  record: EnvironmentRecord;
  /** The image's id when it was made: a tag may move on. */
  imageId: string;
  state: "making" | "ready" | "leaving";
};

/** `archived_logs` is null for an environment that was destroyed before it ran. */
export type DestroyedEnvironment = { id: string; status: "destroyed"; archived_logs: string | null };

/** What is under way and noticed, as a platform starts: nothing. */
export function nothingUnderWay(): Pick<
  Context,
  "failures" | "outageRetries" | "heldBack" | "heldNetworks" | "unsettled" | "watches" | "ongoing" | "ahead" | "tasks"
> {
  return {
    failures: new Map(),
    outageRetries: new Map(),
    unsettled: new Set(),
    heldBack: new Set(),
    heldNetworks: new Set(),
    watches: new Map(),
    ongoing: {
      creating: new Map(),
      destroying: new Map(),
      expiring: new Set(),
      idempotent: new Map(),
      admitted: new Map(),
      reserved: new Set(),
    },
    ahead: { networks: [], withoutIngress: new Set(), spares: [], changing: new Set(), filling: null, trouble: null },
    tasks: createTaskTracker(),
  };
}

/** Everything a use-case works with; main.ts makes the one there is. */
export type Context = {
  settings: Settings;
  clock: Clock;
  logger: Logger;
  engine: Engine;
  router: Router;
  probe: Probe;
  environments: EnvironmentStore;
  logs: LogStore;
  archives: ArchiveStore;
  disk: DiskSpace;
  firewall: Firewall;
  events: EventLog;
  secrets: SecretStore;
  audit: AuditLog;
  /** Null: there are no tokens, and every caller is the machine's own user. */
  tokens: TokenStore | null;
  shippers: LogShippers;
  /** One operation at a time per environment id. */
  locks: KeyedLock;
  subnets: SubnetAllocator;
  takenSubnets: TakenSubnets;
  /** The machine's routes, CIDR. */
  routes: () => Promise<string[]>;
  makeId: (name: string, now: number) => string;
  failures: FailureCounts;
  /** By environment id. In memory: after a restart they are tried at once. */
  outageRetries: Map<string, OutageRetry>;
  /** Environments that this platform found at its start and has not put in order since. */
  unsettled: Set<string>;
  /** Environments without a readable state file, of which something is there: reported, and counted against the quotas. */
  heldBack: Set<string>;
  /** Names of their networks, whose subnets are given to nobody else. */
  heldNetworks: Set<string>;
  /** Environments being probed once a second because something just happened to them. */
  watches: Map<string, AbortController>;
  ongoing: Ongoing;
  ahead: Ahead;
  /** Changes asked for over HTTP, and what nobody waits for: the end of the platform does. */
  tasks: TaskTracker;
  failpoint: Failpoint;
  /** Aborts when the platform shuts down: waits end, work under way is finished. */
  stopping: AbortSignal;
  /** Aborts some seconds later: no further step is begun, and no long one waited for, as that may be too much for the time that is left. */
  shutdownDeadline: AbortSignal;
};
