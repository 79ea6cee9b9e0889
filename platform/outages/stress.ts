import type { Fault } from "./fault.ts";

/** Where the tools live, in their image and in the container: carried with their own libraries and loader, they run in any image. */
const TOOLS = "/sandbox-tools";
const STOP_TIMEOUT_MS = 10_000;

/** Keeps every CPU the container may use busy, within the container's own limits. */
export const stress: Fault = {
  mode: "stress",
  defaultDuration: 60,
  async inject({ engine, container, stressImage }, duration) {
    await engine.containers.copyFromImage(container, stressImage, TOOLS);
    await engine.containers.execDetached(container, stressCommand(duration ?? 60));
  },
  async stop({ engine, container }) {
    await engine.containers.exec(container, stopCommand(), { timeoutMs: STOP_TIMEOUT_MS });
  },
};

/** One worker per CPU for so many seconds; stress-ng ends by itself even if nobody stops it. */
export function stressCommand(seconds: number): string[] {
  return tool("stress-ng", "--cpu", "0", "--timeout", `${seconds}s`, "--temp-path", TOOLS);
}

function stopCommand(): string[] {
  return tool("sh", `${TOOLS}/stop.sh`);
}

function tool(name: string, ...args: string[]): string[] {
  return [`${TOOLS}/${name}-ld`, "--library-path", `${TOOLS}/lib`, `${TOOLS}/${name}`, ...args];
}
