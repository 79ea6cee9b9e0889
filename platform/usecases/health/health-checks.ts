import PQueue from "p-queue";
import { isUp, primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import { FAILURES_TO_DEGRADE, judgeHealth } from "../../domain/health-rule.ts";
import { delay } from "../../kernel/delay.ts";
import { describeError } from "../../kernel/errors.ts";
import type { ProbeResult } from "../../probes/probe.ts";
import type { Needs } from "../deps.ts";

const QUICK_PROBES = FAILURES_TO_DEGRADE + 2;
/**
 * The probes of a sweep begin so far apart, and all within this share of one probe's time limit: begun at once they
 * would wake every application at once, and every other caller would wait for a core.
 */
const SWEEP_GAP_MS = 5;
const SWEEP_SHARE = 0.15;

/** What a verdict does while another operation holds the environment's lock; the next check gives one that is left. */
type WhenBusy = "wait" | "leave";

type HealthChecksDeps = Needs<
  "environments" | "probe" | "logs" | "events" | "locks" | "clock" | "logger" | "settings" | "stopping"
> & {
  /** Quick probes begin so far apart, without waiting for each other's answer. */
  quickProbeGapMs?: number;
};

export type HealthChecks = ReturnType<typeof createHealthChecks>;

/** Probes environments and applies the three-failures rule. A restart forgets the counts, and counting begins anew. */
export function createHealthChecks(deps: HealthChecksDeps) {
  const { environments, probe, logs, events, locks, clock, logger, settings, stopping, quickProbeGapMs = 1_000 } = deps;
  /** Consecutive failed probes, by environment. */
  const failures = new Map<string, number>();
  const watches = new Map<string, AbortController>();

  /** Probes one environment, logs the result and judges it. Never throws. */
  async function check(id: string, whenBusy: WhenBusy = "wait"): Promise<void> {
    const found = environments.get(id);
    if (found === null || !isUp(found)) return;
    try {
      const timestamp = clock.timestamp();
      const result = await probe.check({
        host: environmentHost(id, settings.publicAddress.baseDomain),
        path: primaryService(found).health_path,
        timeoutMs: settings.healthTimeout * 1000,
        signal: stopping,
      });
      if (stopping.aborted) return;
      await record(id, timestamp, result);
      await judge(id, result, whenBusy);
    } catch (error) {
      logger.error({ err: error, env_id: id }, "cannot check health");
    }
  }

  /** Appends a check to the environment's health log. A disk that refuses it must not stop the judgement. */
  async function record(id: string, timestamp: string, result: ProbeResult): Promise<void> {
    const { status, latency_ms, ok, error } = result;
    try {
      await logs.appendHealth(id, { timestamp, status, latency_ms, ok, ...(error === undefined ? {} : { error }) });
    } catch (cause) {
      logger.warn({ env_id: id, reason: describeError(cause) }, "cannot write health log");
    }
  }

  async function judge(id: string, result: ProbeResult, whenBusy: WhenBusy): Promise<void> {
    if (result.fault === "ingress") return; // the edge proxy failed, not the environment
    const seen = environments.get(id);
    if (seen === null) return;
    const verdict = judgeHealth(seen.status, failures.get(id) ?? 0, result.ok);
    failures.set(id, verdict.failures);
    if (verdict.status === seen.status) return;
    if (whenBusy === "leave" && locks.isHeld(id)) return; // counted all the same, so that the next check says so too

    await locks.run(id, async () => {
      const present = environments.get(id);
      if (present === null || present.status !== seen.status) return;
      await environments.save({ ...present, status: verdict.status });
      if (verdict.status === "degraded") {
        const data = { failures: verdict.failures, status: result.status, reason: result.error ?? null };
        logger.warn({ env_id: id, ...data }, "environment degraded");
        events.emit({ type: "environment.degraded", env_id: id, data });
      } else {
        logger.info({ env_id: id }, "environment recovered");
        events.emit({ type: "environment.recovered", env_id: id });
      }
    });
  }

  async function probeRepeatedly(id: string, signal: AbortSignal): Promise<void> {
    // While all probes hang, the known state is from before the event.
    let hasEnded = false;
    for (let probes = 0; probes < QUICK_PROBES && !signal.aborted; probes++) {
      void check(id).then(() => (hasEnded = true));
      await delay(quickProbeGapMs, signal);
      const isHealthy = failures.get(id) === 0 && environments.get(id)?.status === "running";
      if (hasEnded && isHealthy) return;
    }
  }

  return {
    check,
    record,
    /** Probes every living environment, HEALTH_CONCURRENCY at a time; one that hangs or is locked holds up no other. */
    async checkAll(): Promise<void> {
      const queue = new PQueue({ concurrency: settings.healthConcurrency });
      const living = environments.all().filter(isUp);
      const gap = Math.min(SWEEP_GAP_MS, (SWEEP_SHARE * settings.healthTimeout * 1000) / living.length);
      const checkInTurn = async ({ id }: EnvironmentRecord, turn: number): Promise<void> => {
        await delay(turn * gap, stopping);
        await queue.add(() => check(id, "leave"));
      };
      await Promise.all(living.map(checkInTurn));
    },
    /**
     * Probes an environment once a second until its status is settled, after an event that may have changed it. A newer
     * event replaces the probes of an older one. Returns at once.
     */
    watch(id: string): void {
      watches.get(id)?.abort();
      const watch = new AbortController();
      watches.set(id, watch);
      void probeRepeatedly(id, AbortSignal.any([watch.signal, stopping])).finally(() => {
        if (watches.get(id) === watch) watches.delete(id);
      });
    },
    /** Drops what is known of an environment that was destroyed. */
    forget: (id: string) => void failures.delete(id),
  };
}
