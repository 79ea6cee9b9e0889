import { PlatformError } from "../../kernel/errors.ts";
import { delay } from "../../kernel/delay.ts";
import type { DockerClient } from "./client.ts";
import { toPlatformError } from "./errors.ts";
import { withOwn } from "./lookup.ts";
import type { ContainerEngine } from "./engine.ts";
import { createFrameParser } from "./frames.ts";

const MAX_OUTPUT_BYTES = 64 * 1024;

/** The engine closes a command's output a moment before it knows the exit code. */
const POLL_MS = 20;

const ROOT = "0";
const CODES = { 404: "conflict", 409: "conflict" } as const;

/** Commands inside running containers, on a Docker engine. */
export function createDockerExec(client: DockerClient): Pick<ContainerEngine, "exec" | "execDetached"> {
  async function prepare(name: string, command: string[], attach: boolean) {
    const options = { Cmd: command, User: ROOT, AttachStdout: attach, AttachStderr: attach };
    return withOwn(client, "run a command in", "container", name, (id) =>
      client.call(action(name, command), (docker) => docker.getContainer(id).exec(options), CODES),
    );
  }

  return {
    async exec(name, command, { timeoutMs, signal }) {
      signal?.throwIfAborted();
      const limit = AbortSignal.timeout(timeoutMs);
      const ends = signal === undefined ? limit : AbortSignal.any([signal, limit]);
      try {
        const { id } = await prepare(name, command, true);
        const output = await client.stream(
          action(name, command),
          (docker, abortSignal) => docker.getExec(id).start({ Detach: false, Tty: false, abortSignal }),
          CODES,
          ends,
        );
        const text = await collect(output);
        return { exitCode: await exitCode(client, name, id, ends), output: text };
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        if (limit.aborted) {
          const detail = `Cannot wait longer for "${command[0]}" in container "${name}": it did not end within ${timeoutMs} ms; it goes on inside`;
          throw new PlatformError("engine_failed", detail, { cause: error });
        }
        throw toPlatformError(error, action(name, command));
      }
    },

    async execDetached(name, command) {
      const { id } = await prepare(name, command, false);
      const answer = await client.stream(
        action(name, command),
        (docker) => docker.getExec(id).start({ Detach: true }),
        CODES,
      );
      answer.resume();
    },
  };
}

/** Both streams' text as it comes, cut at its limit; what follows is read and dropped, so that the command can end. */
async function collect(source: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  const parse = createFrameParser((_kind, bytes, start, end) => {
    const part = Buffer.from(bytes.subarray(start, Math.min(end, start + MAX_OUTPUT_BYTES - size)));
    if (part.length > 0) parts.push(part);
    size += part.length;
  });
  for await (const chunk of source) parse(chunk);
  return Buffer.concat(parts, size).toString("utf8");
}

async function exitCode(client: DockerClient, name: string, id: string, ends: AbortSignal): Promise<number> {
  for (;;) {
    const facts = await client.call(
      `learn how a command in "${name}" ended`,
      (docker) => docker.getExec(id).inspect(),
      CODES,
    );
    if (!facts.Running && facts.ExitCode !== null) return facts.ExitCode;
    await delay(POLL_MS, ends);
    ends.throwIfAborted();
  }
}

function action(name: string, command: string[]): string {
  return `run "${command[0]}" in container "${name}"`;
}
