import { PlatformError } from "../kernel/errors.ts";
import type { Fault, FaultTarget } from "./fault.ts";

/** Where the tools are, in their image and in the container. With their own libraries and loader they run in any image. */
const TOOLS = "/sandbox-tools";
const STOP_TIMEOUT_MS = 10_000;
const MAX_REASON_LENGTH = 200;

/** Exit codes of a command that cannot be executed: it is absent, or the container is at its limit of processes. */
const NOT_EXECUTED: ReadonlySet<number> = new Set([126, 127]);

type Ended = { exitCode: number; output: string };

/** Keeps every CPU the container may use busy, within the container's own limits. */
export const stress: Fault = {
  mode: "stress",
  defaultDuration: 60,
  prepare: copyTools,
  async inject({ workloads, ref }, duration) {
    await workloads.execDetached(ref, stressCommand(duration ?? 60));
  },
  async stop(target) {
    let ended = await runStop(target);
    if (NOT_EXECUTED.has(ended.exitCode)) {
      // A container that was made anew meanwhile has no tools, and so no stress: with them, that shows.
      await copyTools(target);
      ended = await runStop(target);
    }
    if (ended.exitCode !== 0) throw notStopped(target, ended);
  },
};

async function copyTools({ workloads, ref, stressImage }: FaultTarget): Promise<void> {
  await workloads.copyFromImage(ref, stressImage, TOOLS);
}

async function runStop({ workloads, ref }: FaultTarget): Promise<Ended> {
  return workloads.exec(ref, stopCommand(), { timeoutMs: STOP_TIMEOUT_MS });
}

function notStopped({ ref }: FaultTarget, { exitCode, output }: Ended): PlatformError {
  const reason = output.trim().split("\n").at(-1)?.trim().slice(0, MAX_REASON_LENGTH) || "its processes go on";
  const detail = `Cannot stop stress in service "${ref.service}" of "${ref.env}": exit code ${exitCode}: ${reason}.`;
  return new PlatformError("engine_failed", `${detail} Recover once more; restarting the container ends it as well.`);
}

/** One worker per CPU for so many seconds; stress-ng ends by itself then, also without a recovery. */
export function stressCommand(seconds: number): string[] {
  return tool("stress-ng", "--cpu", "0", "--timeout", `${seconds}s`, "--temp-path", TOOLS);
}

function stopCommand(): string[] {
  return tool("sh", `${TOOLS}/stop.sh`);
}

function tool(name: string, ...args: string[]): string[] {
  return [`${TOOLS}/${name}-ld`, "--library-path", `${TOOLS}/lib`, `${TOOLS}/${name}`, ...args];
}
