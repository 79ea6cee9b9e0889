import PQueue from "p-queue";
import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import { describeError } from "../../kernel/errors.ts";
import { FAILURES_TO_DEGRADE, judgeHealth, type HealthCheck } from "../../domain/health-rule.ts";
import type { ProbeResult } from "../../probes/probe.ts";
import { delay } from "../../kernel/delay.ts";
import type { Context } from "../context.ts";

/** Quick probes are started so far apart, without waiting for each other's answer. */
const QUICK_PROBE_GAP_MS = 1_000;
const QUICK_PROBES = FAILURES_TO_DEGRADE + 2;

/**
 * The probes of a sweep begin one after another, so far apart and in this share of the time limit of one at most: all at
 * once they wake every application at once, and everybody else on the machine waits for a core meanwhile.
 */
const SWEEP_GAP_MS = 5;
const SWEEP_SHARE = 0.15;

/** What a verdict does while something else has its environment's lock; one that is left is the next check's to give. */
type WhenBusy = "wait" | "leave";

/**
 * Probes every living environment, HEALTH_CONCURRENCY at a time; one that hangs or fails, or is being worked on for
 * however long, holds up nobody.
 */
export async function checkAllHealth(context: Context): Promise<void> {
  const { environments, settings, stopping } = context;
  const turns = new PQueue({ concurrency: settings.healthConcurrency });
  const living = environments.all().filter(isLiving);
  const gap = Math.min(SWEEP_GAP_MS, (SWEEP_SHARE * settings.healthTimeout * 1000) / living.length);
  const checkInTurn = async ({ id }: EnvironmentRecord, turn: number): Promise<void> => {
    await delay(turn * gap, stopping);
    await turns.add(() => checkHealth(context, id, "leave"));
  };
  await Promise.all(living.map(checkInTurn));
}

/** Probes one environment, writes the result down and applies the three-failures rule. Never throws. */
export async function checkHealth(context: Context, id: string, whenBusy: WhenBusy = "wait"): Promise<void> {
  const { environments, probe, clock, settings, logger, stopping } = context;
  const record = environments.get(id);
  if (record === null || !isLiving(record)) return;
  try {
    const timestamp = clock.timestamp();
    const result = await probe.check({
      host: environmentHost(id, settings.publicAddress.baseDomain),
      path: primaryService(record).health_path,
      timeoutMs: settings.healthTimeout * 1000,
      signal: stopping,
    });
    if (stopping.aborted) return;
    await noteCheck(context, id, timestamp, result);
    await judge(context, id, result, whenBusy);
  } catch (error) {
    logger.error({ err: error, env_id: id }, "cannot check health");
  }
}

/**
 * Probes an environment that something has just happened to, once a second until its status is
 * settled. A newer occasion replaces an older one's probes. Returns at once.
 */
export function watchHealth(context: Context, id: string): void {
  const { watches } = context;
  watches.get(id)?.abort();
  const watch = new AbortController();
  watches.set(id, watch);
  const signal = AbortSignal.any([watch.signal, context.stopping]);
  void probeRepeatedly(context, id, signal).finally(() => {
    if (watches.get(id) === watch) watches.delete(id);
  });
}

async function probeRepeatedly(context: Context, id: string, signal: AbortSignal): Promise<void> {
  // While all of them hang, what is known of it is from before the occasion.
  let hasTold = false;
  for (let probes = 0; probes < QUICK_PROBES && !signal.aborted; probes++) {
    void checkHealth(context, id).then(() => (hasTold = true));
    await delay(QUICK_PROBE_GAP_MS, signal);
    const healthy = context.failures.get(id) === 0 && context.environments.get(id)?.status === "running";
    if (hasTold && healthy) return;
  }
}

/** Appends a check to the environment's health log. A disk that refuses it must not stop the judgement. */
export async function noteCheck(
  { logs, logger }: Pick<Context, "logs" | "logger">,
  id: string,
  timestamp: string,
  result: ProbeResult,
): Promise<void> {
  const check: HealthCheck = {
    timestamp,
    status: result.status,
    latency_ms: result.latency_ms,
    ok: result.ok,
    ...(result.error === undefined ? {} : { error: result.error }),
  };
  try {
    await logs.appendHealth(id, check);
  } catch (error) {
    logger.warn({ env_id: id, reason: describeError(error) }, "cannot write health log");
  }
}

async function judge(context: Context, id: string, result: ProbeResult, whenBusy: WhenBusy): Promise<void> {
  if (result.fault === "ingress") return; // the front door's failures are not the environment's
  const { environments, failures, events, locks, logger } = context;
  const record = environments.get(id);
  if (record === null) return;
  const verdict = judgeHealth(record.status, failures.get(id) ?? 0, result.ok);
  failures.set(id, verdict.failures);
  if (verdict.status === record.status) return;
  if (whenBusy === "leave" && locks.isHeld(id)) return; // counted all the same, so that the next check says so too

  await locks.run(id, async () => {
    const present = environments.get(id);
    if (present === null || present.status !== record.status) return;
    await environments.save({ ...present, status: verdict.status });
    const data = { failures: verdict.failures, status: result.status, reason: result.error ?? null };
    if (verdict.status === "degraded") {
      logger.warn({ env_id: id, ...data }, "environment degraded");
      events.emit({ type: "environment.degraded", env_id: id, data });
    } else {
      logger.info({ env_id: id }, "environment recovered");
      events.emit({ type: "environment.recovered", env_id: id });
    }
  });
}

function isLiving(record: EnvironmentRecord): boolean {
  return record.status === "running" || record.status === "degraded";
}
