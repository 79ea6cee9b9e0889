import type { Docker, DockerClient } from "./client.ts";
import { readJsonLines } from "./json-lines.ts";

/**
 * Kills a container (SIGKILL) and returns once its processes have ended, as the engine's events tell. Its answer comes
 * when it has also taken the container off its networks, which takes it two or three times as long.
 */
export async function killAndWait(client: DockerClient, name: string, id: string): Promise<void> {
  const over = new AbortController();
  const kill = async (docker: Docker): Promise<void> => {
    const answered = docker.getContainer(id).kill({ signal: "SIGKILL" });
    answered.catch(() => {}); // of one that has ended there is nothing more to hear
    await Promise.race([answered, awaitDeath(client, id, over.signal)]);
  };
  try {
    await client.change("begins", `kill container "${name}"`, kill, { 404: "conflict" });
  } finally {
    over.abort();
  }
}

/** Settles only with the container's end: where the engine's events cannot be had, its answer has to do. */
async function awaitDeath(client: DockerClient, id: string, signal: AbortSignal): Promise<void> {
  const filters = JSON.stringify({ type: ["container"], container: [id], event: ["die"] });
  const since = (Date.now() / 1000).toFixed(3);
  try {
    const source = await client.stream(
      "follow the engine's events",
      (docker, abortSignal) =>
        docker.getEvents({ since, filters, abortSignal } as unknown as { filters: string; abortSignal: AbortSignal }),
      {},
      signal,
    );
    for await (const _ of readJsonLines(source)) return;
  } catch {
    // Told by the kill's own answer.
  }
  return new Promise(() => {});
}
