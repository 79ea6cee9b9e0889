import { checkMachine, countToEvict } from "../../domain/access/quota.ts";
import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { isPlain, resolveSpec, type EnvironmentSpec } from "../../domain/environment/spec.ts";
import { NOTHING } from "../../domain/plan/observed.ts";
import { planWarm } from "../../domain/plan/plan.ts";
import { describeError, isPlatformError } from "../../kernel/errors.ts";
import type { ImageFacts, NetworkPool } from "../../workloads/workloads.ts";
import type { Needs } from "../deps.ts";
import type { Admission } from "../environments/admission.ts";
import { lease, type Creator, type Draft } from "../environments/draft.ts";
import type { HealthGate } from "../health/health-gate.ts";
import type { ActualState } from "../reconcile/actual-state.ts";
import { createHandOver, type HandOverDeps } from "./hand-over.ts";

const NO_ROOM = "the resources committed to environments leave no room for more";

type WarmPoolDeps = HandOverDeps &
  Needs<"workloads" | "locks" | "tasks" | "idle" | "stopping"> & {
    admission: Admission;
    draft: Draft;
    gate: HealthGate;
    /** Whatever keeps the pool of networks from growing keeps this one from it, too. */
    networkPool: Pick<NetworkPool, "refusal">;
  };

/**
 * Environments that run before a caller asks for one, each with a loaded route that is disabled. In memory: what a
 * killed platform leaves of it has no record, so the next start removes it and fills the pool anew.
 */
export type WarmPool = {
  /**
   * Gives a warm environment away, where one fits the spec: its lifetime begins, its state file is written, its route
   * is enabled. Null where none fits, and where the edge proxy fails. One that does not answer any more is discarded.
   */
  acquire(spec: EnvironmentSpec, image: ImageFacts, creator: Creator): Promise<EnvironmentRecord | null>;
  /** Makes what is missing, in the background, one at a time at quiet moments. Never throws. */
  refill(): void;
  /**
   * Discards warm environments that stand in the way of what is committed. They count against no quota, and take what
   * is not committed to any environment: once it is, its owner must find it there.
   */
  evict(): Promise<void>;
  /** Discards environments that are not intact, or whose image has changed, and has them made anew. */
  reconcile(ready: readonly string[], actual: ActualState): Promise<void>;
  /** Ids of the environments that are ready; taken before the actual state is observed. */
  ready(): string[];
  /** Something happened to a container of the pool: it is not what it was, so no caller gets it. */
  onTrouble(env: string): void;
  /** Ids of all environments of the pool, also of those that are being made or removed. */
  ids(): string[];
  stats(): { ready: number; wanted: number; lastError: string | null };
  /** Resolves when no refill is in progress. */
  whenIdle(): Promise<void>;
};

type Entry = {
  record: EnvironmentRecord;
  /** The image's id when the environment was made: a tag may move on. */
  imageId: string;
  /** Only a `ready` one is given away; a `stuck` one could not be removed; the operation in progress owns another. */
  state: "making" | "ready" | "leaving" | "stuck";
};

export function createWarmPool(deps: WarmPoolDeps): WarmPool {
  const { workloads, environments, admission, steps, locks, clock, logger, settings, stopping } = deps;
  const handOver = createHandOver(deps);
  let entries: Entry[] = [];
  let filling: Promise<void> | null = null;
  let lastError: string | null = null;

  const images = (): string[] =>
    settings.warmPoolSize === 0 ? [] : [...new Set([settings.defaultImage, ...settings.warmImages])];
  const imageOf = ({ record }: Entry) => primaryService(record).image;
  const ready = () => entries.filter(({ state }) => state === "ready");
  const drop = (entry: Entry) => void (entries = entries.filter((other) => other !== entry));

  async function acquire(
    spec: EnvironmentSpec,
    image: ImageFacts,
    creator: Creator,
  ): Promise<EnvironmentRecord | null> {
    if (!isPlain(spec, settings)) return null;
    for (;;) {
      const entry = ready().find((one) => imageOf(one) === spec.image && one.imageId === image.id);
      if (entry === undefined) return null;
      const leased = admission.admit({ owner: creator.owner, resources: spec.resources }, () => ({
        ...entry.record,
        ...creator,
        ...lease(spec.ttl, clock.now()),
        status: "running",
      }));
      // Nothing is awaited since the entry was found, so no other caller has it.
      entry.state = "leaving";
      const { id } = leased;
      try {
        const outcome = await locks.run(id, () => handOver(leased)).finally(() => admission.release(id));
        if (outcome === "environment is silent") {
          await discard(entry);
          continue;
        }
        // The others would seem as silent as this one: a new creation tells the caller the reason.
        if (outcome === "edge is silent") entry.state = "ready";
        else drop(entry);
        return outcome === "done" ? leased : null;
      } catch (error) {
        drop(entry);
        throw error;
      }
    }
  }

  async function fill(): Promise<void> {
    const failed = new Set<string>();
    for (;;) {
      await evict();
      const image = nextMissing(failed);
      if (image === undefined || stopping.aborted) break;
      try {
        const made = await deps.idle.run(() => makeOne(image));
        if (made !== true) return;
      } catch (error) {
        failed.add(image);
        lastError = describeError(error);
        logger.warn({ image, reason: lastError }, "cannot make a warm environment; trying again in a minute");
      }
    }
    if (failed.size === 0) lastError = null;
  }

  function nextMissing(failed: ReadonlySet<string>): string | undefined {
    const present = Map.groupBy(entries, imageOf);
    const isMissing = (image: string) => (present.get(image)?.length ?? 0) < settings.warmPoolSize;
    return images().find((image) => isMissing(image) && !failed.has(image));
  }

  /** Returns false, with the reason in `lastError`, where there is no room for a warm environment now. */
  async function makeOne(image: string): Promise<boolean> {
    const spec = resolveSpec({ image }, settings);
    const present = [...admission.committed(), ...unclaimed().map(({ record }) => record)];
    const hasRoom = checkMachine(present, spec.resources, settings.quota) === null;
    const refusal = hasRoom ? await deps.networkPool.refusal() : NO_ROOM;
    if (refusal !== null) {
      lastError = refusal;
      return false;
    }
    const facts = await workloads.ensureImage(image, stopping);
    // The networks that are kept ready are left to callers.
    const record = deps.draft(spec, facts, { owner: null, idempotency: null }, false);
    const entry: Entry = { record, imageId: facts.id, state: "making" };
    entries.push(entry);
    try {
      await steps.apply(planWarm(record, NOTHING, clock.now()));
      const last = await deps.gate(record, { cancel: stopping, ended: new AbortController().signal });
      if (last?.result.ok !== true) throw new Error(last?.result.error ?? "the platform is shutting down");
      entry.state = "ready";
      return true;
    } catch (error) {
      await discard(entry);
      throw error;
    }
  }

  /** The environments that no caller has; the others count as committed. */
  function unclaimed(): Entry[] {
    const admitted = admission.ids();
    return entries.filter(({ record: { id } }) => environments.get(id) === null && !admitted.includes(id));
  }

  async function evict(): Promise<void> {
    const candidates = unclaimed();
    const records = candidates.map(({ record }) => record);
    const count = countToEvict(admission.committed(), records, settings.quota);
    await Promise.all(candidates.slice(0, count).map(discardReady));
  }

  async function discardReady(entry: Entry): Promise<void> {
    if (entry.state === "ready") await discard(entry);
  }

  /** One that cannot be removed now is tried again by the next pass. Never throws. */
  async function discard(entry: Entry): Promise<void> {
    entry.state = "leaving";
    if (await deps.rollBack(entry.record, "a warm environment")) drop(entry);
    else entry.state = "stuck";
  }

  async function isIntact({ record, imageId }: Entry, actual: ActualState): Promise<boolean> {
    if (planWarm(record, actual.observedOf(record), clock.now()).length > 0) return false;
    try {
      return (await workloads.ensureImage(primaryService(record).image, stopping)).id === imageId;
    } catch (error) {
      if (isPlatformError(error, "image_not_found")) return false;
      // That an image cannot be looked at is no reason to discard: acquire compares the image again.
      const facts = { env_id: record.id, reason: describeError(error) };
      logger.warn(facts, "cannot look at the image of a warm environment");
      return true;
    }
  }

  function refill(): void {
    if (images().length === 0 || stopping.aborted) return;
    filling ??= fill().finally(() => (filling = null));
  }

  return {
    acquire,
    refill,
    evict,
    async reconcile(known, actual) {
      for (const entry of entries.filter(({ state }) => state === "stuck")) await discard(entry);
      for (const entry of ready().filter(({ record }) => known.includes(record.id)))
        if (entry.state === "ready" && !(await isIntact(entry, actual))) await discardReady(entry);
      refill();
    },
    ready: () => ready().map(({ record }) => record.id),
    onTrouble(env) {
      const entry = ready().find(({ record }) => record.id === env);
      if (entry !== undefined) void deps.tasks.track(discardReady(entry)).then(refill);
    },
    ids: () => entries.map(({ record }) => record.id),
    stats: () => ({ ready: ready().length, wanted: images().length * settings.warmPoolSize, lastError }),
    async whenIdle() {
      await filling;
    },
  };
}
