import { randomInt } from "node:crypto";
import {
  RECORD_VERSION,
  primaryService,
  type EnvironmentRecord,
  type Resources,
} from "../domain/environment-record.ts";
import { PlatformError, describeError } from "../domain/errors.ts";
import { containerName, inventName, networkName } from "../domain/names.ts";
import { NOTHING, planDown, planUp } from "../domain/plan.ts";
import { networkPlaces, parseSubnet, serviceAddress } from "../domain/subnets.ts";
import { applySteps } from "./apply-steps.ts";
import { awaitHealthy } from "./await-healthy.ts";
import type { Context, Creation } from "./context.ts";
import { idempotently } from "./idempotency.ts";
import { lastLogLines } from "./last-log-lines.ts";

/** What a caller may ask of a new environment; everything else gets its default. */
export type CreateRequest = {
  name?: string | undefined;
  /** Seconds. */
  ttl?: number | undefined;
  image?: string | undefined;
  port?: number | undefined;
  health_path?: string | undefined;
  command?: string[] | undefined;
  env?: Record<string, string> | undefined;
  resources?: Partial<{ [K in keyof Resources]: Resources[K] | undefined }> | undefined;
};

/** The one service of an environment, until an environment may have several. */
const SERVICE = "app";

/**
 * Creates an environment and waits for its health check. Returns its record, `running`, or `degraded`
 * where it runs but did not become healthy in time. Any failure leaves nothing behind.
 * `idempotencyKey`: a second call under the same key returns the first one's environment.
 */
export async function createEnvironment(
  context: Context,
  request: CreateRequest,
  idempotencyKey: string | null = null,
): Promise<EnvironmentRecord> {
  if (context.stopping.aborted)
    throw new PlatformError(
      "shutting_down",
      "Cannot create an environment: the platform is shutting down. Try again once it is back.",
    );
  return idempotently(context, idempotencyKey, request, (idempotency) => createOnce(context, request, idempotency));
}

async function createOnce(
  context: Context,
  request: CreateRequest,
  idempotency: EnvironmentRecord["idempotency"],
): Promise<EnvironmentRecord> {
  const image = request.image ?? context.settings.defaultImage;
  const facts = await context.engine.images.ensure(image, context.stopping);
  const port = request.port ?? facts.ports[0] ?? context.settings.defaultPort;
  const record = draft(context, { ...request, image, port }, idempotency);

  return context.locks.run(record.id, async () => {
    const creation = { cancel: new AbortController(), died: new AbortController() };
    context.ongoing.creating.set(record.id, creation);
    try {
      return await bringUp(context, record, creation);
    } catch (error) {
      throw await undo(context, record, error);
    } finally {
      context.ongoing.creating.delete(record.id);
    }
  });
}

async function bringUp(context: Context, record: EnvironmentRecord, creation: Creation): Promise<EnvironmentRecord> {
  const { environments, events, clock } = context;
  await environments.save(record);
  events.emit({
    type: "environment.creating",
    env_id: record.id,
    data: { name: record.name, image: primaryService(record).image },
  });
  await applySteps(planUp(record, NOTHING, clock.now()), context);
  const healthy = await awaitHealthy(context, record, creation);
  if (creation.cancel.signal.aborted) {
    throw new PlatformError(
      "conflict",
      `Cannot finish creating environment "${record.id}": it was destroyed meanwhile.`,
    );
  }
  const finished: EnvironmentRecord = { ...record, status: healthy ? "running" : "degraded" };
  await environments.save(finished);
  events.emit({ type: healthy ? "environment.running" : "environment.degraded", env_id: record.id });
  return finished;
}

/** Takes a failed creation down and returns the error to answer with. What cannot be taken down now, the reconciler does. */
async function undo(context: Context, record: EnvironmentRecord, error: unknown): Promise<unknown> {
  const { logger, events, subnets } = context;
  events.emit({ type: "environment.failed", env_id: record.id, data: { reason: describeError(error) } });
  const told = await withLogLines(context, record, error);
  try {
    await applySteps(planDown(record), context);
    subnets.free(parseSubnet(record.network.subnet));
  } catch (undoError) {
    logger.error({ err: undoError, env_id: record.id }, "cannot take down a failed environment; the reconciler will");
  }
  return told;
}

async function withLogLines(context: Context, record: EnvironmentRecord, error: unknown): Promise<unknown> {
  if (!(error instanceof PlatformError) || error.status !== 422) return error;
  const lines = await lastLogLines(context, primaryService(record).container);
  if (lines.length === 0) return error;
  return new PlatformError(error.code, `${error.message} Its last output:\n${lines.join("\n")}`, { cause: error });
}

function draft(
  { settings, subnets, clock, makeId, environments }: Context,
  request: CreateRequest & { image: string; port: number },
  idempotency: EnvironmentRecord["idempotency"],
): EnvironmentRecord {
  const now = clock.now();
  const name = request.name?.trim() || inventName(() => randomInt(2 ** 32) / 2 ** 32);
  let id = makeId(name, now);
  while (environments.get(id) !== null) id = makeId(name, now);
  const ttl = request.ttl ?? Math.min(settings.defaultTtl, settings.maxTtl);
  const subnet = subnets.take();
  if (subnet === null) {
    const { used, total } = subnets.usage();
    throw new PlatformError(
      "address_pool_exhausted",
      `Cannot create an environment: ${used} of ${total} subnets are in use. Destroy some environments or enlarge SUBNET_POOL.`,
    );
  }
  return {
    version: RECORD_VERSION,
    id,
    name,
    status: "creating",
    created_at: new Date(now).toISOString(),
    ttl,
    expires_at: new Date(now + ttl * 1000).toISOString(),
    network: { name: networkName(settings.instance, id), ...networkPlaces(subnet) },
    services: [
      {
        name: SERVICE,
        container: containerName(settings.instance, id, SERVICE),
        image: request.image,
        address: serviceAddress(subnet, 0),
        port: request.port,
        health_path: request.health_path ?? "/health",
        command: request.command ?? null,
        env: request.env ?? {},
        resources: {
          memory_mb: request.resources?.memory_mb ?? settings.defaultResources.memory_mb,
          cpus: request.resources?.cpus ?? settings.defaultResources.cpus,
          pids: request.resources?.pids ?? settings.defaultResources.pids,
        },
      },
    ],
    outage: null,
    idempotency,
  };
}
