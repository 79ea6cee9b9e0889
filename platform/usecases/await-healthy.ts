import { primaryService, type EnvironmentRecord } from "../domain/environment-record.ts";
import { environmentHost } from "../domain/environment-view.ts";
import { PlatformError } from "../domain/errors.ts";
import { delay } from "../runtime/delay.ts";
import { noteCheck } from "./check-health.ts";
import type { Context } from "./context.ts";

const PAUSE_MS = 25;
const MAX_PAUSE_MS = 500;
const INSPECT_EVERY_MS = 250;

/**
 * Waits until the environment answers its health check, at most CREATE_TIMEOUT. True once it does,
 * false when time ran out or `signal` aborted. Throws `container_exited` when its container ended.
 */
export async function awaitHealthy(context: Context, record: EnvironmentRecord, signal: AbortSignal): Promise<boolean> {
  const { probe, engine, settings, clock } = context;
  const service = primaryService(record);
  const deadline = performance.now() + settings.createTimeout * 1000;
  let inspectAt = 0;
  let pause = PAUSE_MS;

  while (!signal.aborted) {
    const timestamp = clock.timestamp();
    const timeoutMs = Math.max(1, Math.min(settings.healthTimeout * 1000, deadline - performance.now()));
    const result = await probe.check({ host: environmentHost(record.id, settings.door.baseDomain), path: service.health_path, timeoutMs, signal });
    if (result.ok) {
      await noteCheck(context, record.id, timestamp, result);
      return true;
    }
    if (performance.now() >= inspectAt) {
      assertRunning(service.container, await engine.containers.inspect(service.container));
      inspectAt = performance.now() + INSPECT_EVERY_MS;
    }
    if (performance.now() + pause >= deadline) {
      await noteCheck(context, record.id, timestamp, result);
      return false;
    }
    await delay(pause, signal);
    // Quick at first, since most applications start in well under a second; then ever more patient.
    pause = Math.min(MAX_PAUSE_MS, pause * 1.2);
  }
  return false;
}

function assertRunning(name: string, facts: Awaited<ReturnType<Context["engine"]["containers"]["inspect"]>>): void {
  if (facts === null) throw new PlatformError("container_exited", `Cannot start container "${name}": it was removed while starting.`);
  if (facts.state !== "exited") return;
  const how = facts.oomKilled ? "it ran out of memory; ask for more with resources.memory_mb" : `it exited with code ${facts.exitCode ?? "unknown"}`;
  throw new PlatformError("container_exited", `Cannot start container "${name}": ${how}.`);
}
