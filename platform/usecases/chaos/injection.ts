import type { EnvironmentRecord, Outage, OutageMode, Service } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { withFailpoint } from "../../kernel/failpoint.ts";
import { FAULTS } from "../../outages/registry.ts";
import type { ServiceRef } from "../../workloads/workloads.ts";
import type { Needs } from "../deps.ts";
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

type InjectionDeps = Needs<
  "environments" | "secrets" | "workloads" | "events" | "locks" | "clock" | "logger" | "settings" | "failpoint"
> & { health: Pick<HealthChecks, "watch"> };

/**
 * Breaks one service of an environment on purpose. The intent is on disk first, so that an outage with an end ends
 * even if the platform dies meanwhile. `protected_target` for a container that is not this environment's own, by
 * label; `conflict` while another outage is in force, or where the service does not run.
 */
export function createInjection(deps: InjectionDeps) {
  const { environments, workloads, events, health, locks, clock, settings, failpoint } = deps;

  async function begin(record: EnvironmentRecord, ref: ServiceRef, request: OutageRequest): Promise<EnvironmentRecord> {
    const { mode, defaultDuration, prepare, inject, stop } = FAULTS[request.mode];
    const target = { workloads, ref, stressImage: settings.stressImage };
    try {
      await prepare?.(target);
    } catch (error) {
      throw await withoutSecrets(deps, record.id, error);
    }
    const duration = request.duration ?? defaultDuration;
    const now = clock.now();
    const outage: Outage = {
      mode,
      service: ref.service,
      started_at: new Date(now).toISOString(),
      ends_at: duration === null ? null : new Date(now + duration * 1000).toISOString(),
    };
    const broken: EnvironmentRecord = { ...record, outage };
    await environments.save(broken);
    try {
      await withFailpoint(failpoint, "inject-fault", () => inject(target, duration));
    } catch (error) {
      await callOff(record, async () => stop?.(target)).catch(() => {}); // the first failure is the one to tell
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
    await persistIntent(deps, record, "calling an outage off");
  }

  async function assertRuns(ref: ServiceRef): Promise<void> {
    const facts = await workloads.inspect(ref);
    if (facts?.state === "running") return;
    const problem = facts === null ? "it is gone" : `it is ${facts.state}`;
    const remedy = `POST {"mode":"recover"} ${facts === null ? "makes it anew" : "repairs it"}`;
    const detail = `Cannot break service "${ref.service}" of "${ref.env}": ${problem}. ${remedy}.`;
    throw new PlatformError("conflict", detail);
  }

  return async (id: string, request: OutageRequest): Promise<EnvironmentRecord> => {
    findLiving(environments, id);
    return locks.run(id, async () => {
      const record = findLiving(environments, id);
      const ref = { env: id, service: chooseService(record, request.service).name };
      assertNoOutage(record);
      await assertRuns(ref);
      return begin(record, ref, request);
    });
  };
}

function chooseService({ id, services }: EnvironmentRecord, name: string | undefined): Service {
  const service = name === undefined ? services[0] : services.find((candidate) => candidate.name === name);
  if (service !== undefined) return service;
  const known = services.map((candidate) => candidate.name).join(", ");
  const errors = [{ path: "service", message: `must be one of: ${known}` }];
  const detail = `Cannot find service "${name}" in environment "${id}": it has ${known}.`;
  throw new PlatformError("invalid_request", detail, { errors });
}

function assertNoOutage({ id, outage }: EnvironmentRecord): void {
  if (outage === null) return;
  const end = outage.ends_at === null ? "until it is recovered" : `until ${outage.ends_at}`;
  const detail = `Cannot start an outage in environment "${id}": ${outage.mode} is in force ${end}.`;
  throw new PlatformError("conflict", `${detail} POST {"mode":"recover"} ends it.`);
}
