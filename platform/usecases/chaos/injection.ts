import type { EnvironmentRecord, Outage, OutageMode, Service } from "../../domain/environment/record.ts";
import type { Clock } from "../../kernel/clock.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { withFailpoint, type Failpoint } from "../../kernel/failpoint.ts";
import type { KeyedLock } from "../../kernel/keyed-lock.ts";
import type { Logger } from "../../kernel/logger.ts";
import { FAULTS } from "../../outages/registry.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import type { SecretStore } from "../../store/secrets/secret-store.ts";
import type { ServiceRef, Workloads } from "../../workloads/workloads.ts";
import { findLiving } from "../environments/find-environment.ts";
import { persistIntent } from "../environments/persist-intent.ts";
import { withoutSecrets } from "../environments/secrets-of.ts";
import type { HealthChecks } from "../health/health-checks.ts";

export type OutageRequest = {
  mode: OutageMode;
  /** The service to break; the one behind the URL by default. */
  service?: string | undefined;
  /** Seconds until the platform undoes it. */
  duration?: number | undefined;
};

export type InjectionDeps = {
  environments: EnvironmentStore;
  secrets: SecretStore;
  workloads: Workloads;
  events: Pick<EventLog, "emit">;
  health: Pick<HealthChecks, "watch">;
  locks: KeyedLock;
  clock: Pick<Clock, "now">;
  logger: Pick<Logger, "warn">;
  settings: { stressImage: string };
  failpoint: Failpoint;
};

/**
 * Breaks one service of an environment on purpose. The intent is on disk first, so that an outage with an end ends
 * even if the platform dies meanwhile. `protected_target` for a container that is not this environment's own, by
 * label; `conflict` while another outage is in force, or where the service does not run.
 */
export type InjectOutage = (id: string, request: OutageRequest) => Promise<EnvironmentRecord>;

export function createInjection(deps: InjectionDeps): InjectOutage {
  const { environments, workloads, events, health, locks, clock, logger, settings, failpoint } = deps;

  async function begin(record: EnvironmentRecord, ref: ServiceRef, request: OutageRequest): Promise<EnvironmentRecord> {
    const fault = FAULTS[request.mode];
    const target = { workloads, ref, stressImage: settings.stressImage };
    try {
      await fault.prepare?.(target);
    } catch (error) {
      throw await withoutSecrets(deps, record.id, error);
    }
    const duration = request.duration ?? fault.defaultDuration;
    const now = clock.now();
    const outage: Outage = {
      mode: fault.mode,
      service: ref.service,
      started_at: new Date(now).toISOString(),
      ends_at: duration === null ? null : new Date(now + duration * 1000).toISOString(),
    };
    const broken: EnvironmentRecord = { ...record, outage };
    await environments.save(broken);
    try {
      await withFailpoint(failpoint, "inject-fault", () => fault.inject(target, duration));
    } catch (error) {
      await callOff(record, async () => fault.stop?.(target)).catch(() => {}); // the first failure is the one to tell
      throw await withoutSecrets(deps, record.id, error);
    }
    events.emit({ type: "outage.started", env_id: record.id, data: { ...outage } });
    health.watch(record.id);
    return broken;
  }

  /**
   * The engine's answer may have been lost although the fault is in force: a fault that no state shows is stopped
   * before it is off the record. Where it cannot be stopped, the outage stays on record, so that it ends.
   */
  async function callOff(record: EnvironmentRecord, stop: () => Promise<void>): Promise<void> {
    await stop();
    await persistIntent({ environments, logger }, record, "calling an outage off");
  }

  async function assertTarget(ref: ServiceRef): Promise<void> {
    const facts = await workloads.inspect(ref);
    if (facts?.state === "running") return;
    const problem = facts === null ? "it is gone" : `it is ${facts.state}`;
    const remedy = facts === null ? "makes it anew" : "repairs it";
    throw new PlatformError(
      "conflict",
      `Cannot break service "${ref.service}" of "${ref.env}": ${problem}. POST {"mode":"recover"} ${remedy}.`,
    );
  }

  return async (id, request) => {
    findLiving(environments, id);
    return locks.run(id, async () => {
      const record = findLiving(environments, id);
      const ref = { env: id, service: chooseService(record, request.service).name };
      assertNoOutage(record);
      await assertTarget(ref);
      return begin(record, ref, request);
    });
  };
}

function chooseService(record: EnvironmentRecord, name: string | undefined): Service {
  const service =
    name === undefined ? record.services[0] : record.services.find((candidate) => candidate.name === name);
  if (service !== undefined) return service;
  const known = record.services.map((candidate) => candidate.name).join(", ");
  const errors = [{ path: "service", message: `must be one of: ${known}` }];
  const detail = `Cannot find service "${name}" in environment "${record.id}": it has ${known}.`;
  throw new PlatformError("invalid_request", detail, { errors });
}

function assertNoOutage({ id, outage }: EnvironmentRecord): void {
  if (outage === null) return;
  const end = outage.ends_at === null ? "until it is recovered" : `until ${outage.ends_at}`;
  throw new PlatformError(
    "conflict",
    `Cannot start an outage in environment "${id}": ${outage.mode} is in force ${end}. POST {"mode":"recover"} ends it.`,
  );
}
