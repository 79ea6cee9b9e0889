import { delay } from "../../kernel/delay.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Docker, DockerClient } from "./client.ts";
import type { ContainerEngine } from "./engine.ts";
import { toPlatformError } from "./errors.ts";
import { createFrameParser } from "./frames.ts";
import { withOwn } from "./own-objects.ts";

const MAX_OUTPUT_BYTES = 64 * 1024;

/** The engine closes a command's output a moment before it knows the exit code. */
const POLL_MS = 20;

const ROOT = "0";
const CODES = { 404: "conflict", 409: "conflict" } as const;

/** Commands inside running containers, on a Docker engine. */
export function createDockerExec(client: DockerClient): Pick<ContainerEngine, "exec" | "execDetached"> {
  async function prepare(name: string, command: string[], attach: boolean): Promise<string> {
    const options = { Cmd: command, User: ROOT, AttachStdout: attach, AttachStderr: attach };
    const call = (id: string) =>
      client.call(actionOf(name, command), (docker) => docker.getContainer(id).exec(options), { codes: CODES });
    return (await withOwn(client, "run a command in", "container", name, call)).id;
  }

  async function exitCode(name: string, id: string, ends: AbortSignal): Promise<number> {
    const action = `learn how a command in "${name}" ended`;
    for (;;) {
      const facts = await client.call(action, (docker) => docker.getExec(id).inspect(), { codes: CODES });
      if (!facts.Running && facts.ExitCode !== null) return facts.ExitCode;
      await delay(POLL_MS, ends);
      ends.throwIfAborted();
    }
  }

  return {
    async exec(name, command, { timeoutMs, signal }) {
      signal?.throwIfAborted();
      const action = actionOf(name, command);
      const limit = AbortSignal.timeout(timeoutMs);
      const ends = signal === undefined ? limit : AbortSignal.any([signal, limit]);
      try {
        const id = await prepare(name, command, true);
        const begin = (docker: Docker, abortSignal: AbortSignal) =>
          docker.getExec(id).start({ Tty: false, abortSignal });
        const output = await collect(await client.stream(action, begin, CODES, ends));
        return { exitCode: await exitCode(name, id, ends), output };
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        if (!limit.aborted) throw toPlatformError(error, action);
        const detail = `Cannot wait longer for "${command[0]}" in container "${name}": it did not end within ${timeoutMs} ms; it goes on inside`;
        throw new PlatformError("engine_failed", detail, { cause: error });
      }
    },

    async execDetached(name, command) {
      const id = await prepare(name, command, false);
      const begin = (docker: Docker) => docker.getExec(id).start({ Detach: true });
      (await client.stream(actionOf(name, command), begin, CODES)).resume();
    },
  };
}

function actionOf(name: string, command: string[]): string {
  return `run "${command[0]}" in container "${name}"`;
}

/** Both streams' text as it comes, cut at its limit; what follows is read and dropped, so that the command can end. */
async function collect(source: AsyncIterable<Buffer>): Promise<string> {
  const output = Buffer.alloc(MAX_OUTPUT_BYTES);
  let size = 0;
  const parse = createFrameParser((_kind, payload) => {
    size += payload.copy(output, size);
  });
  for await (const chunk of source) parse(chunk);
  return output.toString("utf8", 0, size);
}
