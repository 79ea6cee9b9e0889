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
import { createRedactor } from "../domain/redaction.ts";
import { admit, assertFits } from "./admit.ts";
import { applySteps } from "./apply-steps.ts";
import { awaitHealthy } from "./await-healthy.ts";
import { between } from "./checkpoint.ts";
import type { Context, Creation } from "./context.ts";
import { assertDiskSpace } from "./guard-disk.ts";
import { idempotently } from "./idempotency.ts";
import { lastLogLines } from "./last-log-lines.ts";
import { redactError } from "./secrets-of.ts";

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
  /** Environment variables that are kept apart from the state file and shown nowhere. */
  secrets?: Record<string, string> | undefined;
  /** Whether it may reach the outside; true by default. */
  egress?: boolean | undefined;
  resources?: Partial<{ [K in keyof Resources]: Resources[K] | undefined }> | undefined;
};

/** The one service of an environment, until an environment may have several. */
const SERVICE = "app";

/**
 * Creates an environment and waits for its health check. Returns its record, `running`, or `degraded`
 * where it runs but did not become healthy in time. Any failure leaves nothing behind.
 * `idempotencyKey`: a second call under the same key returns the first one's environment.
 * `owner`: the caller's name; null where the platform has no tokens.
 */
export async function createEnvironment(
  context: Context,
  request: CreateRequest,
  idempotencyKey: string | null = null,
  owner: string | null = null,
): Promise<EnvironmentRecord> {
  if (context.stopping.aborted)
    throw new PlatformError(
      "shutting_down",
      "Cannot create an environment: the platform is shutting down. Try again once it is back.",
    );
  return idempotently(context, { key: idempotencyKey, owner, request }, (idempotency) =>
    createOnce(context, request, { owner, idempotency }),
  );
}

async function createOnce(
  context: Context,
  request: CreateRequest,
  caller: Pick<EnvironmentRecord, "owner" | "idempotency">,
): Promise<EnvironmentRecord> {
  await assertDiskSpace(context);
  const wanted = { owner: caller.owner, resources: resourcesOf(context, request) };
  assertFits(context, wanted); // before an image is pulled for nothing
  const image = request.image ?? context.settings.defaultImage;
  const facts = await context.engine.images.ensure(image, context.stopping);
  const port = request.port ?? facts.ports[0] ?? context.settings.defaultPort;
  const record = admit(context, wanted, () => draft(context, { ...request, image, port }, { ...caller, ...wanted }));

  return context.locks.run(record.id, async () => {
    const creation = { cancel: new AbortController(), died: new AbortController() };
    context.ongoing.creating.set(record.id, creation);
    try {
      return await bringUp(context, record, request.secrets ?? {}, creation);
    } catch (error) {
      throw await undo(context, record, error, createRedactor(Object.values(request.secrets ?? {})));
    } finally {
      context.ongoing.admitted.delete(record.id);
      context.ongoing.creating.delete(record.id);
    }
  });
}

async function bringUp(
  context: Context,
  record: EnvironmentRecord,
  secrets: Record<string, string>,
  creation: Creation,
): Promise<EnvironmentRecord> {
  const { environments, events, clock } = context;
  await environments.save(record);
  if (record.secrets.length > 0)
    await between(context.checkpoint, "save-secrets", () => context.secrets.save(record.id, secrets));
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
async function undo(
  context: Context,
  record: EnvironmentRecord,
  error: unknown,
  redact: (text: string) => string,
): Promise<unknown> {
  const { logger, events, subnets } = context;
  const { id: env_id, owner } = record;
  events.emit({ type: "environment.failed", env_id, owner, data: { reason: redact(describeError(error)) } });
  const told = redactError(await withLogLines(context, record, error), redact);
  try {
    await applySteps(planDown(record), context);
    subnets.free(parseSubnet(record.network.subnet));
  } catch (undoError) {
    logger.error({ err: undoError, env_id: record.id }, "cannot take down a failed environment; the reconciler will");
    // Without a record nothing was made, and no reconciler will give the subnet back.
    if (context.environments.get(record.id) === null) subnets.free(parseSubnet(record.network.subnet));
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
  given: Pick<EnvironmentRecord, "owner" | "idempotency"> & { resources: Resources },
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
    owner: given.owner,
    status: "creating",
    created_at: new Date(now).toISOString(),
    ttl,
    expires_at: new Date(now + ttl * 1000).toISOString(),
    network: { name: networkName(settings.instance, id), ...networkPlaces(subnet) },
    egress: request.egress ?? true,
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
        resources: given.resources,
      },
    ],
    secrets: Object.keys(request.secrets ?? {}),
    outage: null,
    idempotency: given.idempotency,
  };
}

function resourcesOf({ settings }: Context, { resources }: CreateRequest): Resources {
  const { memory_mb, cpus, pids } = settings.defaultResources;
  return {
    memory_mb: resources?.memory_mb ?? memory_mb,
    cpus: resources?.cpus ?? cpus,
    pids: resources?.pids ?? pids,
  };
}
