import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import { delay } from "../../kernel/delay.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { ProbeResult } from "../../probes/probe.ts";
import type { ServiceRef, Workloads } from "../../workloads/workloads.ts";
import type { Needs } from "../deps.ts";

const PAUSE_MS = 10;
const MAX_PAUSE_MS = 500;
/** A platform that is told to stop finishes the creations in progress, within the 30 s that a shutdown may take. */
const STOPPING_LIMIT_MS = 15_000;
/** The engine tells when a container ends; this is for when its events are late. */
const INSPECT_EVERY_MS = 1_000;

/** The last check of a wait for health, and when it was made. */
export type LastCheck = { timestamp: string; result: ProbeResult };

export type HealthGate = ReturnType<typeof createHealthGate>;

/**
 * Waits until the environment answers its health check, at most CREATE_TIMEOUT. Returns the check that succeeded, or
 * the last one when time ran out; null when `cancel` aborted. `ended` cuts a probe short, since a container that has
 * ended never answers. Throws `container_exited` or `image_not_runnable` when its container ended.
 */
export function createHealthGate(deps: Needs<"probe" | "workloads" | "clock" | "settings" | "stopping">) {
  const { probe, workloads, clock, settings, stopping } = deps;
  return async (
    record: EnvironmentRecord,
    { cancel, ended }: { cancel: AbortSignal; ended: AbortSignal },
  ): Promise<LastCheck | null> => {
    const { name: service, health_path: path } = primaryService(record);
    const host = environmentHost(record.id, settings.publicAddress.baseDomain);
    const started = performance.now();
    const deadline = (): number =>
      started + Math.min(settings.createTimeout * 1000, stopping.aborted ? STOPPING_LIMIT_MS : Infinity);
    const signal = AbortSignal.any([cancel, ended]);
    let inspectAt = started + INSPECT_EVERY_MS;
    let pause = PAUSE_MS;

    while (!cancel.aborted) {
      const timestamp = clock.timestamp();
      const timeoutMs = Math.max(1, Math.min(settings.healthTimeout * 1000, deadline() - performance.now()));
      const result = await probe.check({ host, path, timeoutMs, signal });
      if (result.ok) return { timestamp, result };
      if (ended.aborted || performance.now() >= inspectAt) {
        await assertRunning(workloads, { env: record.id, service });
        inspectAt = performance.now() + INSPECT_EVERY_MS;
      }
      if (performance.now() + pause >= deadline()) return { timestamp, result };
      await delay(pause, signal);
      // Most applications start in well under a second: the pauses grow from there.
      pause = Math.min(MAX_PAUSE_MS, pause * 1.2);
    }
    return null;
  };
}

/** A shell, and Docker's init after it, exit with these when a command is not found or may not be executed. */
const NOT_RUNNABLE: ReadonlySet<number | null> = new Set([126, 127]);

async function assertRunning(workloads: Pick<Workloads, "inspect">, ref: ServiceRef): Promise<void> {
  const facts = await workloads.inspect(ref);
  if (facts === null) throw exited(`service "${ref.service}": it was removed while starting.`);
  const { state, container, exitCode, oomKilled } = facts;
  if (state !== "exited") return;
  if (oomKilled) throw exited(`container "${container}": it ran out of memory. Ask for more with resources.memory_mb.`);
  if (!NOT_RUNNABLE.has(exitCode))
    throw exited(`container "${container}": it exited with code ${exitCode ?? "unknown"}.`);
  const reason = `its command is not in the image or cannot be executed (exit code ${exitCode})`;
  throw new PlatformError("image_not_runnable", `Cannot run container "${container}": ${reason}.`);
}

function exited(what: string): PlatformError {
  return new PlatformError("container_exited", `Cannot start ${what}`);
}
