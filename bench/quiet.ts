import { createDockerClient } from "../platform/workloads/docker/client.ts";
import { readJsonLines } from "../platform/workloads/docker/json-lines.ts";
import { DOCKER_SOCKET } from "../platform/test/support/docker.ts";
import { waitUntil } from "../platform/test/support/wait-until.ts";

type Message = { Actor?: { Attributes?: Record<string, string> } };

/** Waits until the engine has done nothing for `ms`, but no longer than `limitMs`. */
export type QuietWatch = { quietFor(ms: number, limitMs: number): Promise<void>; stop(): void };

/**
 * Watches the engine's events of containers and networks whose names begin with `prefix`: what a platform still does
 * after its answer must not slow down the next sample of either side.
 */
export async function watchQuiet(prefix: string): Promise<QuietWatch> {
  const client = createDockerClient({ socketPath: DOCKER_SOCKET, instance: prefix, timeoutMs: 30_000 });
  const stop = new AbortController();
  const filters = JSON.stringify({ type: ["container", "network"] });
  let last = performance.now();
  const source = await client.stream(
    "follow events",
    (docker, abortSignal) => docker.getEvents({ filters, abortSignal } as { filters: string }),
    {},
    stop.signal,
  );
  const listening = (async () => {
    for await (const message of readJsonLines(source)) {
      const name = (message as Message).Actor?.Attributes?.["name"];
      if (name?.startsWith(prefix) === true) last = performance.now();
    }
  })();
  listening.catch(() => {}); // rejects when stopped

  return {
    async quietFor(ms, limitMs) {
      const deadline = performance.now() + limitMs;
      const isQuiet = (): boolean => performance.now() - last >= ms || performance.now() > deadline;
      await waitUntil("the engine to be quiet", isQuiet, limitMs + 10_000, 10);
    },
    stop: () => stop.abort(),
  };
}
