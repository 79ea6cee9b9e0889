import { delay } from "../../kernel/delay.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { DockerClient } from "./client.ts";
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
        const options = { Detach: false, Tty: false };
        const output = await client.stream(
          action,
          (docker, abortSignal) => docker.getExec(id).start({ ...options, abortSignal }),
          CODES,
          ends,
        );
        const text = await collect(output);
        return { exitCode: await exitCode(name, id, ends), output: text };
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        if (!limit.aborted) throw toPlatformError(error, action);
        const detail = `Cannot wait longer for "${command[0]}" in container "${name}": it did not end within ${timeoutMs} ms; it goes on inside`;
        throw new PlatformError("engine_failed", detail, { cause: error });
      }
    },

    async execDetached(name, command) {
      const id = await prepare(name, command, false);
      const begin = () =>
        client.stream(actionOf(name, command), (docker) => docker.getExec(id).start({ Detach: true }), CODES);
      (await begin()).resume();
    },
  };
}

function actionOf(name: string, command: string[]): string {
  return `run "${command[0]}" in container "${name}"`;
}

/** Both streams' text as it comes, cut at its limit; what follows is read and dropped, so that the command can end. */
async function collect(source: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  const parse = createFrameParser((_kind, payload) => {
    const part = Buffer.from(payload.subarray(0, MAX_OUTPUT_BYTES - size));
    if (part.length > 0) parts.push(part);
    size += part.length;
  });
  for await (const chunk of source) parse(chunk);
  return Buffer.concat(parts, size).toString("utf8");
}
