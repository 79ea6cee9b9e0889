const LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const FOLDER = "[a-z0-9]+(?:[._-]+[a-z0-9]+)*";
const RULE = new RegExp(`^(?:\\*|${LABEL}(?:\\.${LABEL})*(?::[0-9]{1,5})?(?:/${FOLDER})*)$`);

/** Endings of names that are not public: a machine finds them in its own network or on itself, or reads an address. */
const PRIVATE_ENDING = /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|lan|home|corp|[0-9]+|0x[0-9a-f]*)$/;

/** Whether a text can be an item of IMAGE_REGISTRIES: `host[:port][/folder…]` in lower case, or `*`. */
export function isRegistryRule(text: string): boolean {
  return RULE.test(text);
}

/**
 * Whether an image may be pulled: from Docker Hub (no registry) always, from another registry where a rule names it,
 * with its port and as many folders as the rule has. The rule `*` allows every registry with a public name, and no
 * other: the engine asks from inside of this machine and its network.
 */
export function mayPull(
  { registry, path }: { registry: string | null; path: string },
  rules: readonly string[],
): boolean {
  if (registry === null) return true;
  const wanted = `${registry.toLowerCase()}/${path}`;
  return rules.some((rule) => (rule === "*" ? isPublic(registry) : `${wanted}/`.startsWith(`${rule}/`)));
}

function isPublic(registry: string): boolean {
  const host = registry.toLowerCase().replace(/:\d+$/, "");
  return host.includes(".") && !PRIVATE_ENDING.test(host);
}
