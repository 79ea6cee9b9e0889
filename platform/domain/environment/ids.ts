const MAX_ID_LENGTH = 50;
const PREFIX = "env";

/**
 * Makes ids `env-<slug>-<suffix>`: a DNS label (RFC 1123) of at most 50 characters. The suffix is the
 * time in milliseconds, base 36, moved on by one where two ids would fall into the same millisecond.
 */
export function createIdMaker(): (name: string, now: number) => string {
  let last = 0;
  return (name, now) => {
    last = Math.max(now, last + 1);
    const suffix = last.toString(36);
    const room = MAX_ID_LENGTH - PREFIX.length - suffix.length - 2;
    const slug = slugify(name).slice(0, room).replace(/-+$/, "") || "sandbox";
    return `${PREFIX}-${slug}-${suffix}`;
  };
}

/** The part of a name that fits a DNS label: accents dropped, everything else becomes single hyphens; may be empty. */
export function slugify(name: string): string {
  return name
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
}

/** Whether `text` has the shape of an id of ours; anything else never reaches the engine or a path. */
export function isEnvironmentId(text: string): boolean {
  return text.length <= MAX_ID_LENGTH && /^env-[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text);
}
