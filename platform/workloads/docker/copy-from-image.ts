import { randomUUID } from "node:crypto";
import { posix } from "node:path";
import { LABEL_PLATFORM, LABEL_ROLE } from "../../domain/environment/labels.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { DockerClient } from "./client.ts";
import { buildHelperBody } from "./container-spec.ts";
import { createContainer } from "./containers.ts";
import type { ContainerEngine } from "./engine.ts";
import { withOwn } from "./own-objects.ts";

/** Some tens of megabytes at most, on a machine under stress. */
const COPY_LIMIT_MS = 120_000;

export type DockerCopy = Pick<ContainerEngine, "copyFromImage"> & {
  /** Names of the helper containers of copies in progress. */
  helpersInUse(): string[];
};

/**
 * Copying out of images, on a Docker engine, which reads files of containers only: so a helper container is made of
 * the image, never started, and removed again. One that is left carries the instance's label, so it is observed and
 * removed like every other leftover.
 */
export function createDockerCopy(client: DockerClient, remove: ContainerEngine["remove"]): DockerCopy {
  const { cutOff, instance } = client;
  const helpers = new Set<string>();

  async function copy(name: string, image: string, folder: string): Promise<void> {
    const target = await withOwn(client, "copy into", "container", name, (id) => Promise.resolve(id));
    const helper = `${instance}-helper-${randomUUID()}`;
    const labels = { [LABEL_PLATFORM]: instance, [LABEL_ROLE]: "helper" };
    const ended = new AbortController();
    const signal = AbortSignal.any([ended.signal, cutOff]);
    helpers.add(helper);
    try {
      await createContainer(client, helper, buildHelperBody(image, labels));
      const archive = await client.stream(
        `read "${folder}" from image "${image}"`,
        (docker, abortSignal) => docker.getContainer(helper).getArchive({ path: folder, abortSignal }),
        { 404: "image_not_found" },
        signal,
      );
      const options = { path: posix.dirname(folder), abortSignal: signal };
      await client.call(
        `copy "${folder}" into container "${name}"`,
        (docker) => docker.getContainer(target).putArchive(archive, options),
        { codes: { 404: "conflict" }, limitMs: COPY_LIMIT_MS },
      );
    } finally {
      // Too late is also an end: neither connection may stay behind.
      ended.abort();
      await remove(helper).finally(() => helpers.delete(helper));
    }
  }

  return {
    async copyFromImage(name, image, folder) {
      try {
        await copy(name, image, folder);
      } catch (error) {
        if (!cutOff.aborted) throw error;
        const detail = `Cannot copy "${folder}" into container "${name}": the platform is shutting down`;
        throw new PlatformError("shutting_down", detail, { cause: error });
      }
    },
    helpersInUse: () => [...helpers],
  };
}
