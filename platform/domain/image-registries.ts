const LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const FOLDER = "[a-z0-9]+(?:[._-]+[a-z0-9]+)*";
const RULE = new RegExp(`^(?:\\*|${LABEL}(?:\\.${LABEL})*(?::[0-9]{1,5})?(?:/${FOLDER})*)$`);

/** What no public name ends with: machines find these in their own network or on themselves, or read an address from it. */
const PRIVATE_ENDING = /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|lan|home|corp|[0-9]+|0x[0-9a-f]*)$/;

/** Whether a text can be an item of IMAGE_REGISTRIES: `host[:port][/folder…]` in lower case, or `*`. */
export function isRegistryRule(text: string): boolean {
  return RULE.test(text);
}

/**
 * Whether an image may be pulled: from Docker Hub (no registry) always, from another registry where a rule names
 * it, with its port and as many folders as the rule has. The rule `*` means every registry with a public name:
 * the engine asks from this machine, whose own addresses and network are nobody else's business.
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
