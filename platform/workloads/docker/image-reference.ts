import { PlatformError } from "../../kernel/errors.ts";
import { mayPull } from "../../domain/image-registries.ts";

/**
 * The grammar of image references as the distribution project defines it (github.com/distribution/reference):
 * `[domain/]path[:tag][@digest]`. Nothing else reaches the engine, whose client does not encode paths.
 */
const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
/** A first component is a registry only if it looks like a host: with a dot, a port, or `localhost`; else it is a path, in lower case. */
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})+(?::[0-9]{1,5})?|${LABEL}:[0-9]{1,5}|localhost)`;
const NAME = `(?:(?<registry>${DOMAIN})/)?(?<path>${COMPONENT}(?:/${COMPONENT})*)`;
const TAG = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";
const DIGEST = "[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,128}";
const REFERENCE = new RegExp(`^(?<name>${NAME})(?::(?<tag>${TAG}))?(?:@(?<digest>${DIGEST}))?$`);

const MAX_LENGTH = 500;
const MAX_NAME_LENGTH = 255;

/** Names that mean Docker Hub, as no name does. */
const DOCKER_HUB = new Set<string | undefined>([undefined, "docker.io", "index.docker.io"]);

/**
 * `registry` is the host, with its port, that the engine would ask, null for Docker Hub; `path` what follows it.
 * `version` is the digest where one is given, else the tag, else `latest`, as the engine itself reads it.
 */
export type ImageReference = { name: string; version: string; registry: string | null; path: string };

/** The parts of an image reference; `invalid_request` for the field `image` when it is not one. */
export function readImageReference(text: string): ImageReference {
  const parsed = parseImageReference(text);
  if (parsed !== null) return parsed;
  const message = `"${text.slice(0, 200)}" is not an image reference such as node:24-slim`;
  throw new PlatformError("invalid_request", `Cannot use image: ${message}`, { errors: [{ path: "image", message }] });
}

/** The parts of an image reference, or null when it is not one. */
export function parseImageReference(text: string): ImageReference | null {
  if (text.length > MAX_LENGTH) return null;
  const { name, registry, path, digest, tag } = REFERENCE.exec(text)?.groups ?? {};
  if (name === undefined || path === undefined || name.length > MAX_NAME_LENGTH) return null;
  // The engine takes a first part with a dot for a host also where it cannot be one, as with an underscore.
  if (registry === undefined && /^[^/]*\.[^/]*\//.test(path)) return null;
  const host = DOCKER_HUB.has(registry) ? null : (registry ?? null);
  return { name, version: digest ?? tag ?? "latest", registry: host, path };
}

/** Throws `image_not_found` where an image that is not on this machine may not be pulled from its registry either. */
export function assertMayPull(text: string, reference: ImageReference, registries: readonly string[]): void {
  if (mayPull(reference, registries)) return;
  const detail = `Cannot pull image "${text}": images are pulled from Docker Hub and what IMAGE_REGISTRIES names, which "${reference.registry}" is not; add it there, or pull the image on this machine: docker pull ${text}`;
  throw new PlatformError("image_not_found", detail);
}

/** `image_not_found`, for this reason. */
export function imageNotFound(reference: string, reason: string, cause?: unknown): PlatformError {
  const advice = `pull it or build it on this machine: docker build -t ${reference} …`;
  return new PlatformError("image_not_found", `Cannot find image "${reference}": ${reason}; ${advice}`, { cause });
}
