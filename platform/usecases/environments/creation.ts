import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import type { EnvironmentRequest, EnvironmentSpec } from "../../domain/environment/spec.ts";
import { createMasker } from "../../domain/secret-masking.ts";
import { PlatformError, describeError, isPlatformError } from "../../kernel/errors.ts";
import type { ImageFacts } from "../../workloads/workloads.ts";
import type { Needs } from "../deps.ts";
import type { LastLogLines } from "../logs/last-log-lines.ts";
import type { WarmPool } from "../pool/warm-pool.ts";
import type { Admission } from "./admission.ts";
import type { BringUp } from "./bring-up.ts";
import type { DiskPressure } from "./disk-pressure.ts";
import type { Creator, Draft } from "./draft.ts";
import type { Idempotency } from "./idempotency.ts";
import type { Operations } from "./operations.ts";
import type { RollBack } from "./roll-back.ts";
import { maskError } from "./secrets-of.ts";
import { assertNotStopping, shuttingDown } from "./shutting-down.ts";

const CREATE = "create an environment";
/** How often another network is tried where the engine says that its addresses overlap something. */
const NETWORK_TRIES = 3;

type CreationDeps = Needs<"workloads" | "locks" | "idle" | "events" | "stopping"> & {
  pool: Pick<WarmPool, "acquire" | "evict" | "refill">;
  disk: Pick<DiskPressure, "assertSpace">;
  idempotency: Idempotency;
  admission: Admission;
  draft: Draft;
  bringUp: BringUp;
  rollBack: RollBack;
  lastLogLines: LastLogLines;
  operations: Operations;
};

type CreateOptions = { key?: string | null; owner?: string | null; request?: EnvironmentRequest };

/**
 * Creates an environment, or gives a warm one away, and waits for its health check. Returns its record, `running`, or
 * `degraded` where it runs but did not become healthy in time. A failure leaves nothing behind. A second call with the
 * same `key` and the same `request` returns the first call's environment. `owner` is the caller's name; null where there
 * are no tokens.
 */
export function createCreation(deps: CreationDeps) {
  const { workloads, pool, disk, admission, draft, operations, locks, events, stopping } = deps;

  async function createOnce(spec: EnvironmentSpec, creator: Creator): Promise<EnvironmentRecord> {
    await disk.assertSpace();
    const release = admission.reserve({ owner: creator.owner, resources: spec.resources });
    const image = await findImage(spec.image).finally(release);
    assertNotStopping(stopping, CREATE);
    const warm = await pool.acquire(spec, image, creator);
    if (warm !== null) return warm;
    for (let attempt = 1; ; attempt++) {
      try {
        return await deps.idle.busyWhile(() => createAnew(spec, image, creator));
      } catch (error) {
        // With networks left, it was the engine that refused this one's addresses.
        const overlaps = isPlatformError(error, "address_pool_exhausted") && workloads.capacity().environments > 0;
        if (!overlaps || attempt === NETWORK_TRIES) throw error;
      }
    }
  }

  /** The end of the platform cuts a pull short: nothing of the environment is there yet. */
  async function findImage(image: string): Promise<ImageFacts> {
    try {
      return await workloads.ensureImage(image, stopping);
    } catch (error) {
      if (stopping.aborted && error === stopping.reason) throw shuttingDown(CREATE, error);
      throw error;
    }
  }

  async function createAnew(spec: EnvironmentSpec, image: ImageFacts, creator: Creator): Promise<EnvironmentRecord> {
    const wanted = { owner: creator.owner, resources: spec.resources };
    const record = admission.admit(wanted, () => draft(spec, image, creator));
    const { id } = record;
    return locks.run(id, async () => {
      const creation = operations.beginCreation(id);
      try {
        await pool.evict();
        return await deps.bringUp(record, spec.secrets, creation);
      } catch (error) {
        throw await undo(record, error, createMasker(Object.values(spec.secrets)));
      } finally {
        admission.release(id);
        operations.endCreation(id);
      }
    });
  }

  /** Takes a failed creation down and returns the error to answer with. */
  async function undo(record: EnvironmentRecord, error: unknown, mask: (text: string) => string): Promise<unknown> {
    const { id: env_id, owner } = record;
    events.emit({ type: "environment.failed", env_id, owner, data: { reason: mask(describeError(error)) } });
    const told = maskError(await withLogLines(record, error), mask);
    await deps.rollBack(record, "a failed environment");
    return told;
  }

  async function withLogLines(record: EnvironmentRecord, error: unknown): Promise<unknown> {
    if (!(error instanceof PlatformError) || error.status !== 422) return error;
    const lines = await deps.lastLogLines({ env: record.id, service: primaryService(record).name });
    if (lines.length === 0) return error;
    return new PlatformError(error.code, `${error.message} Its last output:\n${lines.join("\n")}`, { cause: error });
  }

  return async (
    spec: EnvironmentSpec,
    { key = null, owner = null, request = {} }: CreateOptions = {},
  ): Promise<EnvironmentRecord> => {
    assertNotStopping(stopping, CREATE);
    try {
      return await deps.idempotency({ key, owner, request }, (idempotency) => createOnce(spec, { owner, idempotency }));
    } finally {
      pool.refill();
    }
  };
}
