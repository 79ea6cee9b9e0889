import { PlatformError } from "./domain/errors.ts";
import type { ContainerEngine } from "./engine/engine.ts";
import type { NginxControl } from "./ingress/nginx-ingress.ts";

type Containers = Pick<ContainerEngine, "exec" | "kill" | "start">;

type NginxControlOptions = {
  /** How long a test may take. */
  testLimitMs: number;
  /** Once it aborts, no test is waited for any more: it throws the reason. */
  cutOff: AbortSignal;
};

/** Nginx is a container: it is tested, reloaded and restarted through the engine. */
export function createNginxControl(
  containers: Containers,
  container: string,
  { testLimitMs, cutOff }: NginxControlOptions,
): NginxControl {
  const limits = { timeoutMs: testLimitMs, signal: cutOff };
  return {
    async test() {
      const { exitCode, output } = await containers.exec(container, ["nginx", "-t"], limits);
      if (!isVerdict(exitCode)) throw untested(container, exitCode, output);
      return { ok: exitCode === 0, output };
    },
    reload: () => containers.kill(container, "SIGHUP"),
    async restart() {
      await containers.kill(container, "SIGKILL");
      await containers.start(container);
    },
  };
}

/** With any other `nginx -t` said nothing of the files: 137 is a kill at the memory limit, 126 a command that did not begin. */
function isVerdict(exitCode: number): boolean {
  return exitCode === 0 || exitCode === 1;
}

function untested(container: string, exitCode: number, output: string): PlatformError {
  const words = output.trim() === "" ? "" : `: ${output.trim()}`;
  return new PlatformError(
    "engine_failed",
    `Cannot run "nginx -t" in container "${container}": it ended with exit code ${exitCode}${words}`,
  );
}
