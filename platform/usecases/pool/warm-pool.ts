import { checkMachine, countToEvict, type QuotaLimits } from "../../domain/access/quota.ts";
import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { isPlain, resolveSpec, type EnvironmentSpec, type SpecDefaults } from "../../domain/environment/spec.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import { NOTHING, type Observed } from "../../domain/plan/observed.ts";
import { planUp, planWarm } from "../../domain/plan/plan.ts";
import type { Clock } from "../../kernel/clock.ts";
import { describeError, isPlatformError } from "../../kernel/errors.ts";
import type { IdleQueue } from "../../kernel/idle-queue.ts";
import type { KeyedLock } from "../../kernel/keyed-lock.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { TaskTracker } from "../../kernel/task-tracker.ts";
import type { Probe } from "../../probes/probe.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import type { ImageFacts, NetworkPool, Workloads } from "../../workloads/workloads.ts";
import type { Admission } from "../environments/admission.ts";
import { lease, type Creator, type Draft } from "../environments/draft.ts";
import type { RollBack } from "../environments/roll-back.ts";
import type { StepExecutor } from "../environments/step-executor.ts";
import type { HealthChecks } from "../health/health-checks.ts";
import type { HealthGate } from "../health/health-gate.ts";
import type { ActualState } from "../reconcile/actual-state.ts";

/** How long a warm environment may take to answer that it still runs. */
const PROBE_LIMIT_MS = 1_000;
const NO_ROOM = "the resources committed to environments leave no room for more";

export type WarmPoolDeps = {
  workloads: Pick<Workloads, "ensureImage">;
  environments: EnvironmentStore;
  admission: Admission;
  draft: Draft;
  steps: StepExecutor;
  gate: HealthGate;
  health: Pick<HealthChecks, "record">;
  rollBack: RollBack;
  /** The pool that warm environments take their networks from; what keeps it from growing keeps this one, too. */
  networkPool: Pick<NetworkPool, "refusal">;
  probe: Pick<Probe, "check">;
  events: Pick<EventLog, "emit">;
  locks: KeyedLock;
  tasks: Pick<TaskTracker, "track">;
  idle: Pick<IdleQueue, "run">;
  clock: Pick<Clock, "now" | "timestamp">;
  logger: Pick<Logger, "warn">;
  settings: SpecDefaults & {
    publicAddress: { baseDomain: string };
    quota: QuotaLimits;
    warmPoolSize: number;
    warmImages: readonly string[];
  };
  stopping: AbortSignal;
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
  has(env: string): boolean;
  ids(): string[];
  stats(): { ready: number; wanted: number; lastError: string | null };
  /** Resolves when no refill is in progress. */
  whenIdle(): Promise<void>;
};

/** Only a `ready` one is given away; a `stuck` one could not be removed. Its maker or remover owns one in another state. */
type Entry = {
  record: EnvironmentRecord;
  /** The image's id when the environment was made: a tag may move on. */
  imageId: string;
  state: "making" | "ready" | "leaving" | "stuck";
};

type Outcome = "given" | "discarded" | "edge fails";

export function createWarmPool(deps: WarmPoolDeps): WarmPool {
  const { workloads, environments, admission, steps, health, rollBack, probe, events, locks, clock, logger } = deps;
  const { settings, stopping, tasks } = deps;
  let entries: Entry[] = [];
  let filling: Promise<void> | null = null;
  let lastError: string | null = null;

  const images = (): string[] =>
    settings.warmPoolSize === 0 ? [] : [...new Set([settings.defaultImage, ...settings.warmImages])];
  const specOf = (image: string) => resolveSpec({ image }, settings);
  const imageOf = ({ record }: Entry) => primaryService(record).image;

  async function acquire(
    spec: EnvironmentSpec,
    image: ImageFacts,
    creator: Creator,
  ): Promise<EnvironmentRecord | null> {
    if (!isPlain(spec, settings)) return null;
    for (;;) {
      const entry = entries.find(
        (one) => one.state === "ready" && imageOf(one) === spec.image && one.imageId === image.id,
      );
      if (entry === undefined) return null;
      const leased = admission.admit({ owner: creator.owner, resources: spec.resources }, () => ({
        ...entry.record,
        ...creator,
        ...lease(spec.ttl, clock.now()),
        status: "running",
      }));
      // Nothing is awaited since the entry was found, so no other caller has it.
      entry.state = "leaving";
      const outcome = await locks
        .run(leased.id, () => handOver(entry, leased))
        .finally(() => admission.release(leased.id));
      if (outcome === "given") return leased;
      if (outcome === "edge fails") return null;
    }
  }

  async function handOver(entry: Entry, record: EnvironmentRecord): Promise<Outcome> {
    const { id: env_id, name: displayName } = record;
    const { name, image, port, health_path: path } = primaryService(record);
    const timestamp = clock.timestamp();
    const host = environmentHost(env_id, settings.publicAddress.baseDomain);
    const result = await probe.check({ host, path, timeoutMs: PROBE_LIMIT_MS });
    if (result.fault === "ingress") {
      // The probe says nothing of the environment, and the others would seem as dead: a new creation tells the reason.
      entry.state = "ready";
      return "edge fails";
    }
    if (!result.ok) {
      logger.warn({ env_id, reason: result.error }, "a warm environment does not answer; making another");
      await discard(entry);
      return "discarded";
    }
    try {
      await environments.save(record);
      entries = entries.filter((other) => other !== entry);
      events.emit({ type: "environment.creating", env_id, data: { name: displayName, image } });
      const observed: Observed = {
        prepared: true,
        services: { [name]: { state: "running", connected: true, placement: null } },
        route: { address: "", port, enabled: false },
        shipping: [],
      };
      await steps.apply(planUp(record, observed, clock.now()));
    } catch (error) {
      entries = entries.filter((other) => other !== entry);
      events.emit({ type: "environment.failed", env_id, owner: record.owner, data: { reason: describeError(error) } });
      await rollBack(record, "a failed environment");
      throw error;
    }
    await health.record(env_id, timestamp, result);
    events.emit({ type: "environment.running", env_id });
    return "given";
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

  async function makeOne(image: string): Promise<boolean> {
    const { resources } = specOf(image);
    const present = [...admission.committed(), ...unclaimed().map(({ record }) => record)];
    const refusal =
      checkMachine(present, resources, settings.quota) === null ? await deps.networkPool.refusal() : NO_ROOM;
    if (refusal !== null) {
      lastError = refusal;
      return false;
    }
    const facts = await workloads.ensureImage(image, stopping);
    const record = deps.draft(specOf(image), facts, { owner: null, idempotency: null });
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
    return entries.filter(({ record: { id } }) => environments.get(id) === null && !admission.has(id));
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
    if (await rollBack(entry.record, "a warm environment")) entries = entries.filter((other) => other !== entry);
    else entry.state = "stuck";
  }

  async function isIntact({ record, imageId }: Entry, actual: ActualState): Promise<boolean> {
    if (planWarm(record, actual.observedOf(record), clock.now()).length > 0) return false;
    try {
      return (await workloads.ensureImage(primaryService(record).image, stopping)).id === imageId;
    } catch (error) {
      if (isPlatformError(error, "image_not_found")) return false;
      // That an image cannot be looked at is no reason to discard: acquire compares the image again.
      logger.warn(
        { env_id: record.id, reason: describeError(error) },
        "cannot look at the image of a warm environment",
      );
      return true;
    }
  }

  function refill(): void {
    if (images().length === 0 || stopping.aborted) return;
    filling ??= fill().finally(() => {
      filling = null;
    });
  }

  return {
    acquire,
    refill,
    evict,
    async reconcile(ready, actual) {
      for (const entry of entries.filter(({ state }) => state === "stuck")) await discard(entry);
      for (const entry of entries.filter(({ record }) => ready.includes(record.id)))
        if (entry.state === "ready" && !(await isIntact(entry, actual))) await discardReady(entry);
      refill();
    },
    ready: () => entries.filter(({ state }) => state === "ready").map(({ record }) => record.id),
    onTrouble(env) {
      const entry = entries.find(({ record, state }) => record.id === env && state === "ready");
      if (entry !== undefined) void tasks.track(discardReady(entry)).then(refill);
    },
    has: (env) => entries.some(({ record }) => record.id === env),
    ids: () => entries.map(({ record }) => record.id),
    stats: () => ({
      ready: entries.filter(({ state }) => state === "ready").length,
      wanted: images().length * settings.warmPoolSize,
      lastError,
    }),
    async whenIdle() {
      await filling;
    },
  };
}
