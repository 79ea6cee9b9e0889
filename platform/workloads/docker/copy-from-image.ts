import { randomUUID } from "node:crypto";
import { posix } from "node:path";
import type { Readable } from "node:stream";
import { PlatformError } from "../../kernel/errors.ts";
import { LABEL_PLATFORM, LABEL_ROLE } from "../../domain/environment/labels.ts";
import { buildHelperBody } from "./container-spec.ts";
import type { DockerClient } from "./client.ts";
import { createContainer } from "./containers.ts";
import { withOwn } from "./lookup.ts";
import type { ContainerEngine } from "./engine.ts";

/** Some tens of megabytes at most, on a machine under stress. */
const COPY_LIMIT_MS = 120_000;

/** Copies between an image and a container; `inUse` names the helper containers of copies under way. */
export type DockerCopy = Pick<ContainerEngine, "copyFromImage"> & { inUse(): string[] };

/**
 * Copying out of images, on a Docker engine: it reads files of containers only, so a container is made
 * of the image, never started, and removed again. One left by a crash, or by a copy that the end of the
 * platform broke off, bears the instance's label, and is thus observed and removed like anything else nobody owns.
 */
export function createDockerCopy(client: DockerClient, remove: ContainerEngine["remove"]): DockerCopy {
  const { cutOff } = client;
  const helpers = new Set<string>();

  async function copyFromImage(name: string, image: string, folder: string): Promise<void> {
    try {
      await copy(name, image, folder);
    } catch (error) {
      if (cutOff?.aborted !== true) throw error;
      const detail = `Cannot copy "${folder}" into container "${name}": the platform is shutting down`;
      throw new PlatformError("shutting_down", detail, { cause: error });
    }
  }

  async function copy(name: string, image: string, folder: string): Promise<void> {
    assertFolder(folder);
    const target = await withOwn(client, "copy into", "container", name, (id) => Promise.resolve(id));
    const helper = `${client.instance}-helper-${randomUUID()}`;
    helpers.add(helper);
    try {
      await createContainer(
        client,
        helper,
        buildHelperBody(image, { [LABEL_PLATFORM]: client.instance, [LABEL_ROLE]: "helper" }),
      );
      const archive = await client.stream(
        `read "${folder}" from image "${image}"`,
        (docker, abortSignal) => docker.getContainer(helper).getArchive({ path: folder, abortSignal }),
        { 404: "image_not_found" },
        cutOff,
      );
      await unpack(target, name, archive, folder);
    } finally {
      try {
        await remove(helper);
      } finally {
        helpers.delete(helper);
      }
    }
  }

  async function unpack(id: string, name: string, archive: Readable, folder: string): Promise<void> {
    const path = posix.dirname(folder);
    const ended = new AbortController();
    const abortSignal = cutOff === undefined ? ended.signal : AbortSignal.any([ended.signal, cutOff]);
    try {
      await client.call(
        `copy "${folder}" into container "${name}"`,
        (docker) => docker.getContainer(id).putArchive(archive, { path, abortSignal }),
        { 404: "conflict" },
        Math.max(COPY_LIMIT_MS, client.timeoutMs + 1),
      );
    } finally {
      // Too late is also an end: neither connection may stay behind.
      ended.abort();
      archive.destroy();
    }
  }

  return { copyFromImage, inUse: () => [...helpers] };
}

function assertFolder(folder: string): void {
  if (posix.isAbsolute(folder) && posix.normalize(folder) === folder && posix.basename(folder) !== "") return;
  throw new PlatformError(
    "invalid_request",
    `Cannot copy folder "${folder}": not a plain absolute path; write it as /name`,
  );
}
