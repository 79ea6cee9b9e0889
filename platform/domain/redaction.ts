const MASK = "[redacted]";
/** Shorter values would match ordinary words, and masking those tells more than it hides. */
export const MIN_SECRET_LENGTH = 6;

const LINE_END = /\r\n|\r|\n/;

/** A line of a container's output, or a piece of one that was split; `continued`: its stream's next one is the rest. */
export type Piece = { stream: string; text: string; continued?: true };

/**
 * A function that replaces every occurrence of these secret values in a text, whole or line by line
 * (a key file is printed a line at a time), as they stand or as JSON writes them.
 */
export function createRedactor(secrets: Iterable<string>): (text: string) => string {
  const needles = needlesOf(secrets);
  return (text) => mask(text, 0, text.length, findSecrets(text, needles, 0));
}

/**
 * The same for the lines of one reading of a log, in order, as many at a time as there are. Of a line in pieces
 * a secret is masked where it begins and gone from where it goes on; a piece that ends in what may be the
 * beginning of a secret is kept back until the next one of its line. None is lost, added or overtaken within its stream.
 */
export function createLineRedactor<T extends Piece>(secrets: Iterable<string>): (lines: T[]) => T[] {
  const needles = needlesOf(secrets);
  const streams = new Map<string, Waiting<T>>();

  function take(line: T): T[] {
    const { pieces, masked } = streams.get(line.stream) ?? { pieces: [], masked: 0 };
    const { done, waiting } = takeDecided([...pieces, line], masked, needles);
    streams.set(line.stream, waiting);
    return done;
  }
  return (lines) => (needles.length === 0 ? lines : lines.flatMap(take));
}

/** Whether a secret can be kept out of logs at all: a line of it is long enough to be masked. */
export function isMaskable(secret: string): boolean {
  return secret.split(LINE_END).some((line) => line.trim().length >= MIN_SECRET_LENGTH);
}

/** Pieces that wait for the rest of their line; the first `masked` characters belong to a secret that began before. */
type Waiting<T> = { pieces: T[]; masked: number };

type Range = { start: number; end: number };

/** Takes the pieces, masked, in which nothing can change any more, whatever comes next. */
function takeDecided<T extends Piece>(
  pieces: T[],
  masked: number,
  needles: string[],
): { done: T[]; waiting: Waiting<T> } {
  const text = pieces.map((piece) => piece.text).join("");
  const open = pieces.at(-1)?.continued === true ? text.length - openEnd(text, needles) : text.length;
  // Where the beginning of a longer secret stands, a shorter one does not count yet.
  const ranges = findSecrets(text, needles, masked).filter(({ start }) => start < open);
  const decided = Math.max(open, masked, ranges.at(-1)?.end ?? 0);
  const hidden = [{ start: -1, end: masked }, ...ranges];

  const done: T[] = [];
  let at = 0;
  for (const piece of pieces) {
    const end = at + piece.text.length;
    if (end > decided) break;
    done.push({ ...piece, text: mask(text, at, end, hidden) });
    at = end;
  }
  const across = hidden.find(({ start, end }) => start < at && end > at);
  return { done, waiting: { pieces: pieces.slice(done.length), masked: across === undefined ? 0 : across.end - at } };
}

/** Where secrets stand at or after `from`, from left to right, of several that begin at one place the longest. */
function findSecrets(text: string, needles: string[], from: number): Range[] {
  const ranges: Range[] = [];
  const nexts = needles.map((needle) => text.indexOf(needle, from));
  for (;;) {
    let first = -1;
    nexts.forEach((next, index) => {
      if (next !== -1 && (first === -1 || next < (nexts[first] ?? 0))) first = index;
    });
    if (first === -1) return ranges;
    const start = nexts[first] ?? 0;
    const end = start + (needles[first] ?? "").length;
    ranges.push({ start, end });
    needles.forEach((needle, index) => {
      const next = nexts[index] ?? -1;
      if (next !== -1 && next < end) nexts[index] = text.indexOf(needle, end);
    });
  }
}

/** How many characters at the end of `text` may be the beginning of a secret. */
function openEnd(text: string, needles: string[]): number {
  return Math.max(
    0,
    ...needles.map((needle) => overlap(needle, text.slice(Math.max(0, text.length - needle.length + 1)))),
  );
}

/** The length of the longest beginning of `needle` in which `tail`, which is shorter, ends (Knuth, Morris and Pratt's table of both). */
function overlap(needle: string, tail: string): number {
  const both = `${needle}\0${tail}`; // no variable's value holds a NUL
  const borders = new Int32Array(both.length);
  for (let at = 1, length = 0; at < both.length; at++) {
    while (length > 0 && both[at] !== both[length]) length = borders[length - 1] ?? 0;
    if (both[at] === both[length]) length++;
    borders[at] = length;
  }
  return borders.at(-1) ?? 0;
}

/** A part of `text` without what is hidden; the mask stands where a range begins. */
function mask(text: string, from: number, to: number, hidden: Range[]): string {
  let masked = "";
  let at = from;
  for (const { start, end } of hidden) {
    if (end <= from || start >= to) continue;
    if (start >= from) masked += text.slice(at, start) + MASK;
    at = Math.min(end, to);
  }
  return masked + text.slice(at, to);
}

/** What to look for, the longest first: one secret may be part of another. */
function needlesOf(secrets: Iterable<string>): string[] {
  return [...new Set([...secrets].flatMap(formsOf))]
    .filter((needle) => needle.length >= MIN_SECRET_LENGTH)
    .sort((a, b) => b.length - a.length);
}

function formsOf(secret: string): string[] {
  // As a container is given it: half a character of two becomes U+FFFD on the way.
  const whole = secret.toWellFormed();
  const lines = [...whole.split(LINE_END), ...whole.split("\n")].map((line) => line.trim());
  return [whole, ...lines].flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]);
}
