import { primaryService, type EnvironmentRecord, type NetworkRecord } from "../../domain/environment/record.ts";
import { PlatformError, describeError, isPlatformError } from "../../kernel/errors.ts";
import { NOTHING, planUp, type Observed } from "../../domain/plan/plan.ts";
import { createMasker } from "../../domain/secret-masking.ts";
import type { ImageFacts } from "../../workloads/docker/engine.ts";
import { admit, reserve } from "./admit.ts";
import { applySteps } from "./apply-steps.ts";
import { awaitHealthy } from "../health/await-healthy.ts";
import { noteCheck } from "../health/check-health.ts";
import { withFailpoint } from "../../kernel/failpoint.ts";
import { claimSpare } from "../pool/acquire-warm.ts";
import type { Context, Creation } from "../context.ts";
import { draftRecord, resourcesOf, type CreateRequest } from "./draft-record.ts";
import { assertDiskSpace } from "./disk-pressure.ts";
import { idempotently } from "./idempotency.ts";
import { lastLogLines } from "../logs/last-log-lines.ts";
import { fillLater, makeRoom } from "../pool/warm-pool.ts";
import { maskError } from "./secrets-of.ts";
import { assertNotStopping, shuttingDown } from "./shutting-down.ts";
import { noteTakenSubnets } from "../pool/taken-subnets.ts";
import { rollBack } from "./roll-back.ts";

const CREATE = "create an environment";

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
  assertNotStopping(context, CREATE);
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
  const facts = await findImage(context, image).finally(giveBack);
  assertNotStopping(context, CREATE);
  const spare = await claimSpare(context, request, { image, imageId: facts.id }, { ...caller, ...wanted });
  if (spare !== null) return spare;
  // A network made ahead has a way out.
  let mayHaveReady = request.egress !== false;
  for (let attempt = 1; ; attempt++) {
    const ready = mayHaveReady ? readyNetwork(context) : null;
    try {
      const record = await createAnew(context, { ...request, image }, facts, { ...caller, ...wanted }, ready);
      if (record !== null) return record;
      mayHaveReady = false;
    } catch (error) {
      // With subnets left, it was the engine that refused this one.
      const { used, total } = context.subnets.usage();
      const overlaps = isPlatformError(error, "address_pool_exhausted") && used < total;
      if (!overlaps || attempt === SUBNET_TRIES) throw error;
      await noteTakenSubnets(context);
    }
  }
}

function readyNetwork({ ahead }: Context): NetworkRecord | null {
  return ahead.networks.find(({ name }) => !ahead.withoutIngress.has(name)) ?? null;
}

/** A pull is cut short by the end of the platform: nothing of the environment is there yet. */
async function findImage({ engine, stopping }: Context, image: string): Promise<ImageFacts> {
  try {
    return await engine.images.ensure(image, stopping);
  } catch (error) {
    if (stopping.aborted && error === stopping.reason) throw shuttingDown(CREATE, error);
    throw error;
  }
}

/** `ready` is a network made ahead to use, if any; null is returned where that one turns out to be gone. */
async function createAnew(
  context: Context,
  request: CreateRequest & { image: string },
  facts: ImageFacts,
  given: Parameters<typeof draftRecord>[2],
  ready: NetworkRecord | null,
): Promise<EnvironmentRecord | null> {
  const port = request.port ?? facts.ports[0] ?? context.settings.defaultPort;
  const record = admit(context, given, () => draftRecord(context, { ...request, port }, given, ready));
  if (ready !== null) context.ahead.networks.splice(context.ahead.networks.indexOf(ready), 1);

  return context.locks.run(record.id, async () => {
    const creation = { cancel: new AbortController(), died: new AbortController() };
    context.ongoing.creating.set(record.id, creation);
    try {
      await makeRoom(context);
      return await bringUp(context, record, {
        secrets: request.secrets ?? {},
        observed: ready === null ? NOTHING : ON_READY_NETWORK,
        creation,
      });
    } catch (error) {
      // Looked for before the undoing removes it. Whatever the engine says without it would lead whoever asks astray.
      const isGone = ready !== null && !creation.cancel.signal.aborted && !(await isThere(context, ready));
      const told = await undo(context, record, error, createMasker(Object.values(request.secrets ?? {})));
      if (isGone) return null;
      throw told;
    } finally {
      context.ongoing.admitted.delete(record.id);
      context.ongoing.creating.delete(record.id);
    }
  });
}

async function isThere({ engine }: Context, { name }: NetworkRecord): Promise<boolean> {
  // An engine that does not answer has said nothing of the network.
  const facts = await engine.observe().catch(() => null);
  return facts === null || facts.networks.some((network) => network.name === name);
}

async function bringUp(
  context: Context,
  record: EnvironmentRecord,
  { secrets, observed, creation }: { secrets: Record<string, string>; observed: Observed; creation: Creation },
): Promise<EnvironmentRecord> {
  const { environments, events, clock } = context;
  await environments.save(record);
  if (record.secrets.length > 0)
    await withFailpoint(context.failpoint, "save-secrets", () => context.secrets.save(record.id, secrets));
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
  mask: (text: string) => string,
): Promise<unknown> {
  const { events } = context;
  const { id: env_id, owner } = record;
  events.emit({ type: "environment.failed", env_id, owner, data: { reason: mask(describeError(error)) } });
  const told = maskError(await withLogLines(context, record, error), mask);
  await rollBack(context, record, "a failed environment");
  return told;
}

async function withLogLines(context: Context, record: EnvironmentRecord, error: unknown): Promise<unknown> {
  if (!(error instanceof PlatformError) || error.status !== 422) return error;
  const lines = await lastLogLines(context, primaryService(record).container);
  if (lines.length === 0) return error;
  return new PlatformError(error.code, `${error.message} Its last output:\n${lines.join("\n")}`, { cause: error });
}
