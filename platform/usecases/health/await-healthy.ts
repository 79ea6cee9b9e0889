import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { ProbeResult } from "../../probes/probe.ts";
import { delay } from "../../kernel/delay.ts";
import type { Context } from "../context.ts";

const PAUSE_MS = 10;
const MAX_PAUSE_MS = 500;
/** A platform that is told to stop finishes the creations under way, within the 30 s that a shutdown may take. */
const STOPPING_LIMIT_MS = 15_000;
/** The engine tells when a container ends; this is for when its events are late. */
const INSPECT_EVERY_MS = 1_000;

/** The last check of a wait for health, and when it was made. */
export type LastCheck = { timestamp: string; result: ProbeResult };

/**
 * Waits until the environment answers its health check, at most CREATE_TIMEOUT. Returns the check that
 * succeeded, or the last one when time ran out; null when the wait was cancelled. Throws
 * `container_exited` or `image_not_runnable` when its container ended.
 */
export async function awaitHealthy(
  context: Context,
  record: EnvironmentRecord,
  { cancel, died }: { cancel: { signal: AbortSignal }; died: { signal: AbortSignal } },
): Promise<LastCheck | null> {
  const { probe, settings, clock, stopping } = context;
  const service = primaryService(record);
  const host = environmentHost(record.id, settings.publicAddress.baseDomain);
  const started = performance.now();
  const deadline = (): number =>
    started + Math.min(settings.createTimeout * 1000, stopping.aborted ? STOPPING_LIMIT_MS : Infinity);
  // A probe of a container that has just ended would wait for an address nobody answers at.
  const signal = AbortSignal.any([cancel.signal, died.signal]);
  let inspectAt = started + INSPECT_EVERY_MS;
  let pause = PAUSE_MS;

  while (!cancel.signal.aborted) {
    const timestamp = clock.timestamp();
    const timeoutMs = Math.max(1, Math.min(settings.healthTimeout * 1000, deadline() - performance.now()));
    const result = await probe.check({ host, path: service.health_path, timeoutMs, signal });
    if (result.ok) return { timestamp, result };
    if (died.signal.aborted || performance.now() >= inspectAt) {
      await assertRunning(context, service.container);
      inspectAt = performance.now() + INSPECT_EVERY_MS;
    }
    if (performance.now() + pause >= deadline()) return { timestamp, result };
    await delay(pause, signal);
    // Quick at first, since most applications start in well under a second; then ever more patient.
    pause = Math.min(MAX_PAUSE_MS, pause * 1.2);
  }
  return null;
}

/** What a shell, and Docker's init after it, exit with when a command is not found or may not be executed. */
const NOT_RUNNABLE: ReadonlySet<number | null> = new Set([126, 127]);

async function assertRunning({ engine }: Context, name: string): Promise<void> {
  const facts = await engine.containers.inspect(name);
  if (facts === null)
    throw new PlatformError("container_exited", `Cannot start container "${name}": it was removed while starting.`);
  if (facts.state !== "exited") return;
  if (facts.oomKilled) {
    throw new PlatformError(
      "container_exited",
      `Cannot start container "${name}": it ran out of memory. Ask for more with resources.memory_mb.`,
    );
  }
  if (NOT_RUNNABLE.has(facts.exitCode)) {
    throw new PlatformError(
      "image_not_runnable",
      `Cannot run container "${name}": its command is not in the image or cannot be executed (exit code ${facts.exitCode}).`,
    );
  }
  throw new PlatformError(
    "container_exited",
    `Cannot start container "${name}": it exited with code ${facts.exitCode ?? "unknown"}.`,
  );
}
