const MASK = "[redacted]";
/** Shorter values would match ordinary words, and masking those tells more than it hides. */
const MIN_LENGTH = 6;

/**
 * A function that replaces every occurrence of these secret values in a text, whole or line by line
 * (a key file is printed a line at a time), as they stand or as JSON writes them.
 */
export function createRedactor(secrets: Iterable<string>): (text: string) => string {
  const needles = [...new Set([...secrets].flatMap(formsOf))]
    .filter((needle) => needle.length >= MIN_LENGTH)
    .sort((a, b) => b.length - a.length); // the longest first: one secret may be part of another
  if (needles.length === 0) return (text) => text;
  return (text) => needles.reduce((masked, needle) => masked.replaceAll(needle, MASK), text);
}

function formsOf(secret: string): string[] {
  const lines = secret.split(/\r\n|\r|\n/).map((line) => line.trim());
  return [secret, ...lines].flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]);
}
