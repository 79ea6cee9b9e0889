import { isPlatformError } from "../../kernel/errors.ts";
import { createSingleFlight } from "../../kernel/single-flight.ts";
import type { ImageFacts } from "../workloads.ts";
import type { Docker, DockerClient } from "./client.ts";
import type { ImageEngine } from "./engine.ts";
import { statusOf } from "./errors.ts";
import { assertMayPull, imageNotFound, readImageReference, type ImageReference } from "./image-reference.ts";
import { readJsonLines } from "./json-lines.ts";
import { orNull } from "./own-objects.ts";

/** A pull of a large image over a slow line takes less. */
const PULL_LIMIT_MS = 10 * 60_000;

/** Why a registry refused, by the status that the engine makes of it. */
const REFUSALS: Record<number, string> = {
  401: "its registry wants credentials",
  403: "its registry does not give it to anybody",
  404: "its registry has no such image, or wants credentials",
  429: "its registry allows no more pulls for now",
};

/** Images, on a Docker engine. */
export function createDockerImages(client: DockerClient): ImageEngine {
  const pulls = createSingleFlight();

  async function inspect(reference: string): Promise<ImageFacts | null> {
    const asked = client.call(`inspect image "${reference}"`, (docker) => docker.getImage(reference).inspect());
    const image = await orNull(asked);
    return image && { id: image.Id, ports: tcpPorts(Object.keys(image.Config.ExposedPorts ?? {})) };
  }

  async function pull(reference: string, { name, version }: ImageReference, signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.timeout(PULL_LIMIT_MS);
    const options = { _query: { fromImage: name, tag: version }, _body: {} };
    try {
      const progress = await client.stream(
        `pull image "${reference}"`,
        (docker, abortSignal) =>
          docker.createImage({ ...options, abortSignal } as unknown as Parameters<Docker["createImage"]>[0]),
        {},
        AbortSignal.any([signal, limit]),
      );
      for await (const message of readJsonLines(progress)) {
        const words = pullError(message);
        if (words !== null) throw imageNotFound(reference, "the pull broke off", new Error(words));
      }
    } catch (error) {
      signal.throwIfAborted();
      if (limit.aborted) {
        const words = `the pull did not end within ${PULL_LIMIT_MS / 60_000} minutes`;
        throw imageNotFound(reference, words, error);
      }
      if (isPlatformError(error, "image_not_found") || isPlatformError(error, "engine_unavailable")) throw error;
      // What the engine says quotes the server that answered, which may be no registry: that is for the log alone.
      const status = statusOf(error);
      const words = status === null ? "the pull broke off" : REFUSALS[status];
      throw imageNotFound(reference, words ?? "its registry cannot be reached, or does not answer as one", error);
    }
  }

  return {
    async ensure(reference, signal) {
      const parsed = readImageReference(reference);
      signal?.throwIfAborted();
      const present = await inspect(reference);
      if (present !== null) return present;
      assertMayPull(reference, parsed, client.registries);
      await pulls.share(reference, (shared) => pull(reference, parsed, shared), signal);
      const pulled = await inspect(reference);
      if (pulled === null) throw imageNotFound(reference, "it was pulled and is gone again");
      return pulled;
    },
  };
}

/** TCP ports among the engine's `3000/tcp`, ascending. Images may expose what is no port, such as 0. */
function tcpPorts(exposed: string[]): number[] {
  return exposed
    .filter((port) => port.endsWith("/tcp"))
    .map((port) => Number(port.slice(0, -"/tcp".length)))
    .filter((port) => Number.isInteger(port) && port >= 1 && port <= 65_535)
    .sort((a, b) => a - b);
}

/** The engine's words where a progress message tells of a failure, else null. */
function pullError(message: unknown): string | null {
  const { error, errorDetail } = Object(message) as { error?: unknown; errorDetail?: { message?: unknown } };
  const words = errorDetail?.message ?? error;
  return words === undefined ? null : String(words);
}
