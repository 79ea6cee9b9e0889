import { primaryService, type EnvironmentRecord } from "../domain/environment-record.ts";
import { PlatformError, describeError, isPlatformError } from "../domain/errors.ts";
import { NOTHING, planUp, type Observed } from "../domain/plan.ts";
import { createRedactor } from "../domain/redaction.ts";
import type { ImageFacts } from "../engine/engine.ts";
import { admit, reserve } from "./admit.ts";
import { applySteps } from "./apply-steps.ts";
import { awaitHealthy } from "./await-healthy.ts";
import { noteCheck } from "./check-health.ts";
import { between } from "./checkpoint.ts";
import { claimSpare } from "./claim-spare.ts";
import type { Context, Creation } from "./context.ts";
import { draftRecord, resourcesOf, type CreateRequest } from "./draft-record.ts";
import { assertDiskSpace } from "./guard-disk.ts";
import { idempotently } from "./idempotency.ts";
import { lastLogLines } from "./last-log-lines.ts";
import { fillLater } from "./make-ahead.ts";
import { redactError } from "./secrets-of.ts";
import { noteTakenSubnets } from "./taken-subnets.ts";
import { withdraw } from "./withdraw.ts";

/** How often another subnet is tried where the engine says that one overlaps something. */
const SUBNET_TRIES = 3;

/** Of a network made ahead, Nginx on it. */
const ON_READY_NETWORK: Observed = { ...NOTHING, network: true, ingressConnected: true };

/**
 * Creates an environment, or gives away one that was made ahead, and waits for its health check. Returns its
 * record, `running`, or `degraded` where it runs but did not become healthy in time. Any failure leaves nothing
 * behind. `idempotencyKey`: a second call under the same key returns the first one's environment.
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
  try {
    return await idempotently(context, { key: idempotencyKey, owner, request }, (idempotency) =>
      createOnce(context, request, { owner, idempotency }),
    );
  } finally {
    fillLater(context);
  }
}

async function createOnce(
  context: Context,
  request: CreateRequest,
  caller: Pick<EnvironmentRecord, "owner" | "idempotency">,
): Promise<EnvironmentRecord> {
  await assertDiskSpace(context);
  const wanted = { owner: caller.owner, resources: resourcesOf(context, request) };
  const image = request.image ?? context.settings.defaultImage;
  const giveBack = reserve(context, wanted);
  const facts = await context.engine.images.ensure(image, context.stopping).finally(giveBack);
  const spare = await claimSpare(context, request, { image, imageId: facts.id }, { ...caller, ...wanted });
  if (spare !== null) return spare;
  for (let attempt = 1; ; attempt++) {
    try {
      return await createAnew(context, { ...request, image }, facts, { ...caller, ...wanted });
    } catch (error) {
      // With subnets left, it was the engine that refused this one.
      const { used, total } = context.subnets.usage();
      const overlaps = isPlatformError(error, "address_pool_exhausted") && used < total;
      if (!overlaps || attempt === SUBNET_TRIES) throw error;
      await noteTakenSubnets(context);
    }
  }
}

async function createAnew(
  context: Context,
  request: CreateRequest & { image: string },
  facts: ImageFacts,
  given: Parameters<typeof draftRecord>[2],
): Promise<EnvironmentRecord> {
  const port = request.port ?? facts.ports[0] ?? context.settings.defaultPort;
  // A network made ahead has a way out.
  const ready = request.egress === false ? null : (context.ahead.networks[0] ?? null);
  const record = admit(context, given, () => draftRecord(context, { ...request, port }, given, ready));
  if (ready !== null) context.ahead.networks.shift();

  return context.locks.run(record.id, async () => {
    const creation = { cancel: new AbortController(), died: new AbortController() };
    context.ongoing.creating.set(record.id, creation);
    try {
      return await bringUp(context, record, {
        secrets: request.secrets ?? {},
        observed: ready === null ? NOTHING : ON_READY_NETWORK,
        creation,
      });
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
  { secrets, observed, creation }: { secrets: Record<string, string>; observed: Observed; creation: Creation },
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
  await applySteps(planUp(record, observed, clock.now()), context);
  const health = await awaitHealthy(context, record, creation);
  if (creation.cancel.signal.aborted) {
    throw new PlatformError(
      "conflict",
      `Cannot finish creating environment "${record.id}": it was destroyed meanwhile.`,
    );
  }
  if (health !== null) await noteCheck(context, record.id, health.timestamp, health.result);
  const healthy = health?.result.ok === true;
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
  const { events } = context;
  const { id: env_id, owner } = record;
  events.emit({ type: "environment.failed", env_id, owner, data: { reason: redact(describeError(error)) } });
  const told = redactError(await withLogLines(context, record, error), redact);
  await withdraw(context, record, "a failed environment");
  return told;
}

async function withLogLines(context: Context, record: EnvironmentRecord, error: unknown): Promise<unknown> {
  if (!(error instanceof PlatformError) || error.status !== 422) return error;
  const lines = await lastLogLines(context, primaryService(record).container);
  if (lines.length === 0) return error;
  return new PlatformError(error.code, `${error.message} Its last output:\n${lines.join("\n")}`, { cause: error });
}
