import { PlatformError } from "../../kernel/errors.ts";
import type { ContainerEngine } from "./engine.ts";
import type { DeskAnswer, DeskVerb, NginxDesk } from "../../routing/nginx/nginx-desk.ts";
import type { NginxControl } from "../../routing/nginx/nginx-router.ts";
import type { Logger } from "../../kernel/logger.ts";

type NginxControlOptions = {
  /** Nginx's container. */
  container: string;
  containers: Pick<ContainerEngine, "exec" | "kill" | "start">;
  /** Whom to ask in there before the engine is, which takes twice as long (docs/adr/0011). */
  desk: NginxDesk;
  /** How long a test may take. */
  testLimitMs: number;
  /** Once it aborts, nothing is waited for any more: it throws the reason. */
  cutOff: AbortSignal;
  logger?: Pick<Logger, "info" | "warn">;
};

/** Nginx is a container: it is tested and reloaded from inside, or through the engine, and restarted through that. */
export function createNginxControl(options: NginxControlOptions): NginxControl {
  const { container, containers, desk, testLimitMs, cutOff, logger } = options;
  let isAnswered = true;

  /** Told once, as it costs time and nothing else. */
  function noteAnswered(now: boolean): void {
    if (now === isAnswered) return;
    isAnswered = now;
    if (now) logger?.info({ container }, "nginx is tested and reloaded from inside again");
    else
      logger?.warn({ container }, "nobody in nginx's container answers: it is tested and reloaded through the engine");
  }

  async function askDesk(verb: DeskVerb): Promise<DeskAnswer | null> {
    const limit = AbortSignal.timeout(testLimitMs);
    try {
      const answer = await desk.ask(verb, AbortSignal.any([cutOff, limit]));
      noteAnswered(answer !== null);
      return answer;
    } catch (error) {
      if (cutOff.aborted || !limit.aborted) throw error;
      const detail = `Cannot ${verb} Nginx in container "${container}": it did not end within ${testLimitMs} ms; it goes on inside`;
      throw new PlatformError("engine_failed", detail, { cause: error });
    }
  }

  return {
    async test() {
      const began = performance.now();
      const left = () => ({
        timeoutMs: Math.ceil(Math.max(1, testLimitMs - (performance.now() - began))),
        signal: cutOff,
      });
      const answer = (await askDesk("test")) ?? (await containers.exec(container, ["nginx", "-t"], left()));
      if (!isVerdict(answer.exitCode)) throw untested(container, answer);
      return { ok: answer.exitCode === 0, output: answer.output };
    },
    async reload() {
      const answer = await askDesk("reload");
      // Told twice it reloads twice, and is as well as after one.
      if (answer?.exitCode !== 0) await containers.kill(container, "SIGHUP");
    },
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

function untested(container: string, { exitCode, output }: DeskAnswer): PlatformError {
  const words = output.trim() === "" ? "" : `: ${output.trim()}`;
  return new PlatformError(
    "engine_failed",
    `Cannot run "nginx -t" in container "${container}": it ended with exit code ${exitCode}${words}`,
  );
}
