/** A part of a text. */
export type Range = { start: number; end: number };

/** What one look at a text finds. */
export type Findings = {
  /** Every part that words cover, from left to right; words that overlap cover one part. */
  covered: Range[];
  /** Where the longest beginning of a word stands that the text ends in; the text's length when it ends in none. */
  open: number;
};

/**
 * A function that looks for many words at once. What it costs grows with the text alone, however many words there are
 * and however alike: one automaton knows them all (Aho and Corasick, "Efficient string matching", 1975).
 */
export function createWordFinder(words: readonly string[]): (text: string) => Findings {
  const trie = buildTrie(words);
  const { child, depth, isLeaf, begins } = trie;
  const { fallback, longest } = link(trie);

  return (text) => {
    const covered: Range[] = [];
    let state = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (state === 0 && begins[code & 0xff] === 0) continue;
      state = advance(child, fallback, state, code);
      const length = longest[state] ?? 0;
      if (length > 0) cover(covered, at + 1 - length, at + 1);
    }
    // A whole word that begins no longer one is nothing to wait for.
    while (state !== 0 && isLeaf[state] === 1) state = fallback[state] ?? 0;
    return { covered, open: text.length - (depth[state] ?? 0) };
  };
}

/** Adds a part that ends after all others; what it overlaps becomes one with it. */
function cover(covered: Range[], start: number, end: number): void {
  let from = start;
  for (let last = covered.at(-1); last !== undefined && last.end > from; last = covered.at(-1)) {
    from = Math.min(from, last.start);
    covered.pop();
  }
  covered.push({ start: from, end });
}

/** Every beginning of a word is a state, 0 the empty one; they are numbered so that flat arrays hold them: there may be a million. */
type Trie = {
  count: number;
  /** The state one character on; 0 when no word goes on so. */
  child: (state: number, code: number) => number;
  parent: Int32Array;
  code: Uint16Array;
  depth: Int32Array;
  isWord: Uint8Array;
  isLeaf: Uint8Array;
  /** Whether a word begins with a character whose low byte is this: most of a text is passed over by that alone. */
  begins: Uint8Array;
};

function buildTrie(words: readonly string[]): Trie {
  const room = words.reduce((sum, word) => sum + word.length, 1);
  const slots = 2 ** Math.ceil(Math.log2(room * 2));
  const table = new Int32Array(slots);
  const parent = new Int32Array(room);
  const code = new Uint16Array(room);
  const depth = new Int32Array(room);
  const isWord = new Uint8Array(room);
  const isLeaf = new Uint8Array(room).fill(1);
  const begins = new Uint8Array(256);
  let count = 1;

  /** The slot of a state's child, or the free one where it would be. */
  function slotOf(state: number, next: number): number {
    let slot = (Math.imul(state, 0x9e3779b1) ^ Math.imul(next + 1, 0x85ebca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & (slots - 1);
    for (;;) {
      const found = table[slot] ?? 0;
      if (found === 0 || (parent[found] === state && code[found] === next)) return slot;
      slot = (slot + 1) & (slots - 1);
    }
  }

  for (const word of words) {
    let state = 0;
    for (let at = 0; at < word.length; at++) {
      const next = word.charCodeAt(at);
      const slot = slotOf(state, next);
      let found = table[slot] ?? 0;
      if (found === 0) {
        found = count++;
        table[slot] = found;
        parent[found] = state;
        code[found] = next;
        depth[found] = at + 1;
        isLeaf[state] = 0;
      }
      state = found;
    }
    isWord[state] = 1;
    if (word.length > 0) begins[word.charCodeAt(0) & 0xff] = 1;
  }
  const child = (state: number, next: number): number => table[slotOf(state, next)] ?? 0;
  return { count, child, parent, code, depth, isWord, isLeaf, begins };
}

/**
 * By state: the longest other state it ends in, which is where to go on when no word does, and the length of the
 * longest word it ends in.
 */
function link({ count, child, parent, code, depth, isWord }: Trie): { fallback: Int32Array; longest: Int32Array } {
  const fallback = new Int32Array(count);
  const longest = new Int32Array(count);
  for (const state of byDepth(depth, count)) {
    const from = parent[state] ?? 0;
    if (from !== 0) fallback[state] = advance(child, fallback, fallback[from] ?? 0, code[state] ?? 0);
    longest[state] = isWord[state] === 1 ? (depth[state] ?? 0) : (longest[fallback[state] ?? 0] ?? 0);
  }
  return { fallback, longest };
}

function advance(child: Trie["child"], fallback: Int32Array, from: number, code: number): number {
  for (let state = from; ; state = fallback[state] ?? 0) {
    const next = child(state, code);
    if (next !== 0 || state === 0) return next;
  }
}

/** All states but the empty one, the shortest first. */
function byDepth(depth: Int32Array, count: number): Int32Array {
  const deepest = depth.reduce((most, one) => Math.max(most, one), 0);
  const places = new Int32Array(deepest + 2);
  for (let state = 1; state < count; state++)
    places[(depth[state] ?? 0) + 1] = (places[(depth[state] ?? 0) + 1] ?? 0) + 1;
  for (let at = 1; at < places.length; at++) places[at] = (places[at] ?? 0) + (places[at - 1] ?? 0);
  const ordered = new Int32Array(count - 1);
  for (let state = 1; state < count; state++) {
    const place = places[depth[state] ?? 0] ?? 0;
    ordered[place] = state;
    places[depth[state] ?? 0] = place + 1;
  }
  return ordered;
}
