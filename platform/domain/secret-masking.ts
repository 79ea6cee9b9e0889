import { createWordFinder, type Findings, type Range } from "./word-finder.ts";

const MASK = "[redacted]";
/** Shorter values would match ordinary words, and masking those tells more than it hides. */
export const MIN_SECRET_LENGTH = 6;
/** What one environment's secrets may come to: whoever reads its log has to know all of it. */
const MAX_LINES = 1_000;
const MAX_CHARACTERS = 262_144;

const LINE_END = /\r\n|\r|\n/;

/** A line of a container's output, or a piece of one that was split; `continued`: its stream's next one is the rest. */
export type Piece = { stream: string; text: string; continued?: true };

type Find = (text: string) => Findings;

/**
 * A function that replaces every occurrence of these secret values in a text, whole or line by line
 * (a key file is printed a line at a time), as they stand or as JSON writes them.
 */
export function createRedactor(secrets: Iterable<string>): (text: string) => string {
  const find = createWordFinder(needlesOf(secrets));
  return (text) => mask(text, 0, text.length, find(text).covered);
}

/**
 * The same for the lines of one reading of a log, in order, as many at a time as there are. Of a line in pieces
 * a secret is masked where it begins and gone from where it goes on; a piece that ends in what may be the
 * beginning of a secret is kept back until the next one of its line. None is lost, added or overtaken within its stream.
 */
export function createLineRedactor<T extends Piece>(secrets: Iterable<string>): (lines: T[]) => T[] {
  const needles = needlesOf(secrets);
  const find = createWordFinder(needles);
  const streams = new Map<string, Waiting<T>>();

  function take(line: T): T[] {
    const { pieces, masked } = streams.get(line.stream) ?? { pieces: [], masked: 0 };
    const { done, waiting } = takeDecided([...pieces, line], masked, find);
    streams.set(line.stream, waiting);
    return done;
  }
  return (lines) => (needles.length === 0 ? lines : lines.flatMap(take));
}

/** Whether a secret can be kept out of logs at all: a line of it is long enough to be masked. */
export function isMaskable(secret: string): boolean {
  return secret.split(LINE_END).some((line) => line.trim().length >= MIN_SECRET_LENGTH);
}

/** Why these are too many or too long to be looked for in everything that is logged; null when they are not. */
export function tooMuchToMask(secrets: readonly string[]): string | null {
  const lines = secrets.reduce((sum, secret) => sum + secret.split(LINE_END).length, 0);
  if (lines > MAX_LINES) return `must hold at most ${MAX_LINES} lines in all, and hold ${lines}`;
  const characters = needlesOf(secrets).reduce((sum, needle) => sum + needle.length, 0);
  if (characters <= MAX_CHARACTERS) return null;
  return `must be shorter: as they are and as JSON writes them they come to ${characters} characters to look for in logs, and ${MAX_CHARACTERS} is the most`;
}

/** Pieces that wait for the rest of their line; the first `masked` characters belong to a secret that began before. */
type Waiting<T> = { pieces: T[]; masked: number };

/** Takes the pieces, masked, in which nothing can change any more, whatever comes next. */
function takeDecided<T extends Piece>(pieces: T[], masked: number, find: Find): { done: T[]; waiting: Waiting<T> } {
  const text = pieces.map((piece) => piece.text).join("");
  const { covered, open } = find(text);
  const decided = pieces.at(-1)?.continued === true ? open : text.length;
  const hidden = behind(masked, covered);

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

/** What is hidden where the first `masked` characters are the rest of something that began before. */
function behind(masked: number, covered: Range[]): Range[] {
  if (masked === 0) return covered;
  const within = covered.filter(({ start }) => start < masked);
  return [{ start: -1, end: Math.max(masked, within.at(-1)?.end ?? 0) }, ...covered.slice(within.length)];
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

/** What to look for. */
function needlesOf(secrets: Iterable<string>): string[] {
  const forms = [...secrets].flatMap(partsOf).flatMap(writtenForms);
  return [...new Set(forms)].filter((needle) => needle.length >= MIN_SECRET_LENGTH);
}

/** The lines of a secret; all of it too where it is one line, or one of them is too short to be found by itself. */
function partsOf(secret: string): string[] {
  // As a container is given it: half a character of two becomes U+FFFD on the way.
  const whole = secret.toWellFormed();
  const lines = [...whole.split(LINE_END), ...whole.split("\n")].map((line) => line.trim());
  const areEnough = LINE_END.test(whole) && lines.every((line) => line === "" || line.length >= MIN_SECRET_LENGTH);
  return areEnough ? lines : [whole, ...lines];
}

/** A text as it stands, and as the JSON writers of common languages print it. */
function writtenForms(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  const ascii = json.replace(/[^ -~]/g, escaped); // Python
  const html = json.replace(/[<>&\u2028\u2029]/g, escaped); // Go, Rails
  const slashes = [json, ascii].map((written) => written.replaceAll("/", "\\/")); // PHP
  return [text, json, ascii, html, ...slashes];
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
