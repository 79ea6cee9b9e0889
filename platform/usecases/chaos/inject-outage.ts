import type { EnvironmentRecord, Outage, OutageMode, Service } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { isAppOf } from "../../domain/environment/labels.ts";
import { FAULTS } from "../../outages/registry.ts";
import { watchHealth } from "../health/check-health.ts";
import { withFailpoint } from "../../kernel/failpoint.ts";
import type { Context } from "../context.ts";
import { assertOwnNames, findLiving } from "../environments/find-environment.ts";
import { persistIntent } from "../environments/persist-intent.ts";
import { withoutSecrets } from "../environments/secrets-of.ts";

export type OutageRequest = {
  mode: OutageMode;
  /** The service to break; the one behind the URL by default. */
  service?: string | undefined;
  /** Seconds until it is undone by itself. */
  duration?: number | undefined;
};

/**
 * Breaks one service of an environment on purpose. The intent is on disk first, so that an outage
 * with an end ends even if the platform dies meanwhile. `protected_target` for any container that is
 * not this environment's own, whatever its state file says; `conflict` while another outage is in force.
 */
export async function injectOutage(context: Context, id: string, request: OutageRequest): Promise<EnvironmentRecord> {
  findLiving(context, id);
  return context.locks.run(id, async () => {
    const record = findLiving(context, id);
    const service = chooseService(record, request.service);
    assertNoOutage(record);
    assertOwnNames(context, record);
    await assertTarget(context, record, service);
    return start(context, record, service, request);
  });
}

async function start(
  context: Context,
  record: EnvironmentRecord,
  service: Service,
  request: OutageRequest,
): Promise<EnvironmentRecord> {
  const { clock, environments, engine, events, settings } = context;
  const fault = FAULTS[request.mode];
  const { container } = service;
  const target = { engine, container, network: record.network.name, stressImage: settings.stressImage };
  try {
    await fault.prepare?.(target);
  } catch (error) {
    throw await withoutSecrets(context, record.id, error);
  }
  const duration = request.duration ?? fault.defaultDuration;
  const now = clock.now();
  const outage: Outage = {
    mode: fault.mode,
    service: service.name,
    started_at: new Date(now).toISOString(),
    ends_at: duration === null ? null : new Date(now + duration * 1000).toISOString(),
  };
  const broken: EnvironmentRecord = { ...record, outage };
  await environments.save(broken);
  try {
    await withFailpoint(context.failpoint, "inject-fault", () => fault.inject(target, duration));
  } catch (error) {
    await callOff(context, record, () => fault.stop?.(target)).catch(() => {}); // the first failure is the one to tell
    throw await withoutSecrets(context, record.id, error);
  }
  events.emit({ type: "outage.started", env_id: record.id, data: { ...outage } });
  watchHealth(context, record.id);
  return broken;
}

/**
 * The engine's answer may have been lost, and the fault be in force all the same: what no state shows is stopped
 * before it is off the record. Where that cannot be asked for, the outage stays on record, so that it ends.
 */
async function callOff(
  context: Context,
  record: EnvironmentRecord,
  stop: () => Promise<void> | undefined,
): Promise<void> {
  await stop();
  await persistIntent(context, record, "calling an outage off");
}

function chooseService(record: EnvironmentRecord, name: string | undefined): Service {
  const service =
    name === undefined ? record.services[0] : record.services.find((candidate) => candidate.name === name);
  if (service !== undefined) return service;
  const known = record.services.map((candidate) => candidate.name).join(", ");
  throw new PlatformError(
    "invalid_request",
    `Cannot find service "${name}" in environment "${record.id}": it has ${known}.`,
    {
      errors: [{ path: "service", message: `must be one of: ${known}` }],
    },
  );
}

function assertNoOutage(record: EnvironmentRecord): void {
  if (record.outage === null) return;
  const end = record.outage.ends_at === null ? "until it is recovered" : `until ${record.outage.ends_at}`;
  throw new PlatformError(
    "conflict",
    `Cannot start an outage in environment "${record.id}": ${record.outage.mode} is in force ${end}. POST {"mode":"recover"} ends it.`,
  );
}

async function assertTarget({ engine, settings }: Context, record: EnvironmentRecord, service: Service): Promise<void> {
  const facts = await engine.containers.inspect(service.container);
  if (facts === null) {
    throw new PlatformError(
      "conflict",
      `Cannot break container "${service.container}": it is gone. POST {"mode":"recover"} makes it anew.`,
    );
  }
  if (!isAppOf(facts.labels, settings.instance, record.id)) {
    throw new PlatformError(
      "protected_target",
      `Cannot break container "${service.container}": it is not part of environment "${record.id}".`,
    );
  }
  if (facts.state !== "running") {
    throw new PlatformError(
      "conflict",
      `Cannot break container "${service.container}": it is ${facts.state}. POST {"mode":"recover"} repairs it.`,
    );
  }
}
