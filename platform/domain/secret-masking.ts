const MASK = "[redacted]";
/** Shorter values would match ordinary words, and masking those tells more than it hides. */
export const MIN_SECRET_LENGTH = 6;
/** What the secrets of one environment may come to: the platform looks for each of them in every line that it ships. */
const MAX_LINES = 100;
const MAX_CHARACTERS = 262_144;

const LINE_END = /\r\n|\r|\n/;

/** A line of a container's output, or a fragment of a split one; `continued`: the stream's next fragment belongs to it. */
export type Fragment = { stream: string; text: string; continued?: true };

/** A text to look for. `borders`, by index: how many characters up to there are also the pattern's first ones. */
type Pattern = { text: string; borders: Int32Array };

/** By character of a text, in `marks`: not secret, the first one of a secret, a later one of a secret. */
const [CLEAR, FIRST, LATER] = [0, 1, 2] as const;

/**
 * Returns a function that masks every occurrence of these secrets in a text: whole, or line by line
 * (programs print a key file a line at a time), as they stand or as JSON writes them.
 */
export function createMasker(secrets: Iterable<string>): (text: string) => string {
  const patterns = patternsOf(secrets);
  return (text) => maskMarked(text, markSecrets(text, patterns).marks, 0, text.length);
}

/**
 * Returns a function that does the same for the lines of one reading of a log, in order, any number at a time.
 * In a split line the mask stands in the fragment where the secret begins, and later fragments lose their part of it.
 * A fragment whose end may be the beginning of a secret waits for the line's next fragment. No fragment is lost or
 * added, and the order within a stream stays.
 */
export function createLineMasker<T extends Fragment>(secrets: Iterable<string>): (lines: T[]) => T[] {
  const patterns = patternsOf(secrets);
  const streams = new Map<string, Waiting<T>>();

  function take(line: T): T[] {
    const { fragments, secret } = streams.get(line.stream) ?? { fragments: [], secret: 0 };
    const { done, waiting } = takeDecided([...fragments, line], secret, patterns);
    streams.set(line.stream, waiting);
    return done;
  }
  return (lines) => (patterns.length === 0 ? lines : lines.flatMap(take));
}

/** Whether logs can be kept free of a secret: one of its lines is long enough to be masked. */
export function isMaskable(secret: string): boolean {
  return secret.split(LINE_END).some((line) => line.trim().length >= MIN_SECRET_LENGTH);
}

/** Why these secrets are too many or too long to be looked for in every log line; null when they are not. */
export function tooMuchToMask(secrets: readonly string[]): string | null {
  const lines = secrets.reduce((sum, secret) => sum + secret.split(LINE_END).length, 0);
  if (lines > MAX_LINES) return `must hold at most ${MAX_LINES} lines in all, and hold ${lines}`;
  const characters = formsOf(secrets).reduce((sum, form) => sum + form.length, 0);
  if (characters <= MAX_CHARACTERS) return null;
  return `must be shorter: as they are and as JSON writes them they come to ${characters} characters to look for in logs, and ${MAX_CHARACTERS} is the most`;
}

/** Fragments that wait for the rest of their line, of which the first `secret` characters belong to an earlier secret. */
type Waiting<T> = { fragments: T[]; secret: number };

/** Takes the fragments, masked, that no later fragment can change. */
function takeDecided<T extends Fragment>(
  fragments: T[],
  secret: number,
  patterns: Pattern[],
): { done: T[]; waiting: Waiting<T> } {
  const text = fragments.map((fragment) => fragment.text).join("");
  const { marks, open } = markSecrets(text, patterns, secret);
  const decided = fragments.at(-1)?.continued === true ? open : text.length;

  const done: T[] = [];
  let end = 0;
  for (const fragment of fragments) {
    const start = end;
    if (start + fragment.text.length > decided) break;
    end += fragment.text.length;
    done.push({ ...fragment, text: maskMarked(text, marks, start, end) });
  }
  let clear = end;
  while (marks[clear] === LATER) clear++;
  return { done, waiting: { fragments: fragments.slice(done.length), secret: clear - end } };
}

/** The part of `text` from `start` to `end`, the mask in place of each secret that begins there. */
function maskMarked(text: string, marks: Uint8Array, start: number, end: number): string {
  let masked = "";
  let copied = start;
  for (let at = start; at < end; at++) {
    if (marks[at] === CLEAR) continue;
    masked += text.slice(copied, at) + (marks[at] === FIRST ? MASK : "");
    copied = at + 1;
  }
  return masked + text.slice(copied, end);
}

/**
 * Marks all secrets in a text; those that overlap become one. The first `secret` characters belong to an earlier secret.
 * `open`: where the longest beginning of a pattern starts that the text ends with; the text's length where there is none.
 */
function markSecrets(text: string, patterns: Pattern[], secret = 0): { marks: Uint8Array; open: number } {
  const marks = new Uint8Array(text.length).fill(LATER, 0, secret);
  const begun = patterns.map((pattern) => markPattern(text, pattern, marks));
  return { marks, open: text.length - Math.max(0, ...begun) };
}

/**
 * Marks a pattern wherever it stands, and returns how many characters at the text's end are its beginning. `indexOf`
 * finds the next place that begins like the pattern; from there each character is read once (the search of Knuth, Morris
 * and Pratt), so that callers cannot slow down the logs of others with secrets and lines that repeat themselves.
 */
function markPattern(text: string, pattern: Pattern, marks: Uint8Array): number {
  const { length } = pattern.text;
  const head = pattern.text.slice(0, MIN_SECRET_LENGTH);
  let matched = 0;
  let marked = 0;
  for (let at = 0; at < text.length; at++) {
    if (matched === 0) {
      const next = text.indexOf(head, at);
      at = next === -1 ? Math.max(at, text.length - head.length + 1) : next;
    }
    matched = advance(pattern, matched, text.charCodeAt(at));
    if (matched < length) continue;
    const start = at + 1 - length;
    if (marks[start] === CLEAR) marks[start] = FIRST;
    for (let later = Math.max(start + 1, marked); later <= at; later++) marks[later] = LATER;
    marked = at + 1;
  }
  return matched === length ? (pattern.borders[length - 1] ?? 0) : matched;
}

/** How many of the pattern's first characters match after one more character of the text; `matched` did before. */
function advance({ text, borders }: Pattern, matched: number, code: number): number {
  let length = matched;
  while (length > 0 && text.charCodeAt(length) !== code) length = borders[length - 1] ?? 0;
  return text.charCodeAt(length) === code ? length + 1 : 0;
}

function patternsOf(secrets: Iterable<string>): Pattern[] {
  return formsOf(secrets).map((text) => {
    const pattern: Pattern = { text, borders: new Int32Array(text.length) };
    for (let at = 1; at < text.length; at++)
      pattern.borders[at] = advance(pattern, pattern.borders[at - 1] ?? 0, text.charCodeAt(at));
    return pattern;
  });
}

/** Every text to look for, each once. */
function formsOf(secrets: Iterable<string>): string[] {
  const forms = [...secrets].flatMap(partsOf).flatMap(writtenForms);
  return [...new Set(forms)].filter((form) => form.length >= MIN_SECRET_LENGTH);
}

/** The lines of a secret; all of it too where it is one line, or one of them is too short to be found by itself. */
function partsOf(secret: string): string[] {
  // As a container gets it: an unpaired surrogate becomes U+FFFD on the way.
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
