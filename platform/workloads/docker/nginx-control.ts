import { PlatformError } from "../../kernel/errors.ts";
import type { ContainerEngine } from "./engine.ts";

type NginxControlOptions = {
  /** Nginx's container. */
  container: string;
  containers: Pick<ContainerEngine, "exec" | "kill" | "start">;
  /** How long `nginx -t` may take. */
  testLimitMs: number;
  /** Once it aborts, nothing is waited for any more: a call throws its reason. */
  shutdownDeadline: AbortSignal;
};

/** Nginx is a container: the engine runs `nginx -t` inside it, sends it SIGHUP to reload, and restarts it. */
export function createNginxControl({ container, containers, testLimitMs, shutdownDeadline }: NginxControlOptions) {
  return {
    /** Throws `engine_failed` where `nginx -t` ended without a verdict, and what the engine throws. */
    async test(): Promise<{ ok: boolean; output: string }> {
      const options = { timeoutMs: testLimitMs, signal: shutdownDeadline };
      const { exitCode, output } = await containers.exec(container, ["nginx", "-t"], options);
      if (exitCode === 0 || exitCode === 1) return { ok: exitCode === 0, output };
      // 137 is a kill at the memory limit, 126 a command that did not begin: neither says anything about the files.
      const words = output.trim() === "" ? "" : `: ${output.trim()}`;
      const detail = `Cannot run "nginx -t" in container "${container}": it ended with exit code ${exitCode}${words}`;
      throw new PlatformError("engine_failed", detail);
    },
    reload: (): Promise<void> => containers.kill(container, "SIGHUP"),
    async restart(): Promise<void> {
      await containers.kill(container, "SIGKILL");
      await containers.start(container);
    },
  };
}
