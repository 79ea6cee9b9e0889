/**
 * The grammar of image references as the distribution project defines it (github.com/distribution/reference):
 * `[domain/]path[:tag][@digest]`. Nothing else reaches the engine, whose client does not encode paths.
 */
const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
/** A first component is a registry only if it looks like a host: with a dot, a port, or `localhost`; else it is a path, in lower case. */
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})+(?::[0-9]{1,5})?|${LABEL}:[0-9]{1,5}|localhost)`;
const NAME = `(?:${DOMAIN}/)?${COMPONENT}(?:/${COMPONENT})*`;
const TAG = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";
const DIGEST = "[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,128}";
const REFERENCE = new RegExp(`^(?<name>${NAME})(?::(?<tag>${TAG}))?(?:@(?<digest>${DIGEST}))?$`);

const MAX_LENGTH = 500;
const MAX_NAME_LENGTH = 255;

/** `version` is the digest where one is given, else the tag, else `latest`, as the engine itself reads it. */
export type ImageReference = { name: string; version: string };

/** The parts of an image reference, or null when it is not one. */
export function parseImageReference(text: string): ImageReference | null {
  if (text.length > MAX_LENGTH) return null;
  const groups = REFERENCE.exec(text)?.groups;
  const name = groups?.["name"];
  if (name === undefined || name.length > MAX_NAME_LENGTH) return null;
  return { name, version: groups?.["digest"] ?? groups?.["tag"] ?? "latest" };
}
