import fc from "fast-check";
import { expect, test } from "vitest";
import { createWordFinder, type Findings } from "./word-finder.ts";

/** The same, looked for word by word and place by place. */
function findSlowly(words: string[], text: string): Findings {
  const covered: Findings["covered"] = [];
  for (let start = 0; start < text.length; start++) {
    const lengths = words.filter((word) => word !== "" && text.startsWith(word, start)).map(({ length }) => length);
    if (lengths.length === 0) continue;
    const end = start + Math.max(...lengths);
    const last = covered.at(-1);
    if (last !== undefined && last.end > start) last.end = Math.max(last.end, end);
    else covered.push({ start, end });
  }
  let open = 0;
  const isBeginning = (part: string) => words.some((word) => word.length > part.length && word.startsWith(part));
  while (open < text.length && !isBeginning(text.slice(open))) open++;
  return { covered, open };
}

const letters = fc.string({ unit: fc.constantFrom("a", "b", "c", "\u0161"), maxLength: 40 });

test("finds what a look at every place for every word finds", () => {
  const words = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c", "\u0161"), minLength: 1, maxLength: 8 }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(words, letters, (some, text) => {
      expect(createWordFinder(some)(text)).toEqual(findSlowly(some, text));
    }),
    { numRuns: 5_000 },
  );
});

test("finds nothing where there is nothing to look for", () => {
  expect(createWordFinder([])("text")).toEqual({ covered: [], open: 4 });
  expect(createWordFinder([""])("")).toEqual({ covered: [], open: 0 });
});

test("tells words apart whose characters share a byte", () => {
  expect(createWordFinder(["\u0161b"])("abab").covered).toEqual([]);
});

test("reads each character of a text once, however many words begin alike", () => {
  const words = Array.from({ length: 1_000 }, (_, index) => `${"a".repeat(200)}${index}`);
  const find = createWordFinder(words);
  // Read by the finder alone, so what is asked of it is what it costs.
  let asked = 0;
  const text = Object.assign(Object("a".repeat(20_000)) as string, {
    charCodeAt: (at: number) => (asked++, at < 20_000 ? 97 : Number.NaN),
  });
  expect(find(text)).toEqual({ covered: [], open: 20_000 - 200 });
  expect(asked).toBe(20_000);
});
