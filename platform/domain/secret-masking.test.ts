import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLineMasker, createMasker, isMaskable, tooMuchToMask, type Fragment } from "./secret-masking.ts";

/** A line cut into fragments of this length, on one stream. */
function cut(line: string, length: number, stream = "stdout"): Fragment[] {
  const count = Math.max(1, Math.ceil(line.length / length));
  return Array.from({ length: count }, (_, index) => ({
    stream,
    text: line.slice(index * length, (index + 1) * length),
    ...(index < count - 1 ? { continued: true as const } : {}),
  }));
}

/** The same masks, found by comparing every place with every secret. */
function maskSlowly(secrets: string[], text: string): string {
  let masked = "";
  let end = 0;
  for (let at = 0; at < text.length; at++) {
    const found = secrets.filter((secret) => text.startsWith(secret, at)).map(({ length }) => at + length);
    if (found.length > 0 && at >= end) masked += "[redacted]";
    end = Math.max(end, ...found);
    if (at >= end) masked += text[at];
  }
  return masked;
}

const textsOf = (fragments: Fragment[]) => fragments.map(({ text }) => text);

describe("a masked text", () => {
  test("has no occurrence of a secret, nor of one that lies within another", () => {
    const mask = createMasker(["hunter22", "hunter22-and-more"]);
    expect(mask("a hunter22 b hunter22-and-more c hunter22")).toBe("a [redacted] b [redacted] c [redacted]");
  });

  test("has no line of a secret of several lines", () => {
    const mask = createMasker(["-----BEGIN KEY-----\n  c2VjcmV0\n-----END KEY-----\n", "abc\rdefgh\nxyz"]);
    expect(mask("  c2VjcmV0")).toBe("  [redacted]");
    expect(mask("abc\rdefgh")).toBe("[redacted]");
  });

  test("has no secret as JSON writes it", () => {
    expect(createMasker(['pa"ss\\word'])(JSON.stringify({ it: 'pa"ss\\word' }))).toBe('{"it":"[redacted]"}');
  });

  test.each([
    ["Python", "p\u00e4ss-\u{1f4a5}-word", '{"it":"p\\u00e4ss-\\ud83d\\udca5-word"}'],
    ["Go", "a<b>&secret", '{"it":"a\\u003cb\\u003e\\u0026secret"}'],
    ["PHP", "http://\u00e4/secret", '{"it":"http:\\/\\/\\u00e4\\/secret"}'],
    ["PHP without escaped characters", "http://\u00e4/secret", '{"it":"http:\\/\\/\u00e4\\/secret"}'],
  ])("has no secret as the JSON of %s writes it", (_language, secret, printed) => {
    expect(createMasker([secret])(printed)).toBe('{"it":"[redacted]"}');
  });

  test("has one mask for two secrets that overlap", () => {
    expect(createMasker(["abcdefgh", "efghijklm"])("<abcdefghijklm>")).toBe("<[redacted]>");
  });

  test("has no secret that ends with an unpaired surrogate, which the container gets as U+FFFD", () => {
    expect(createMasker(["secret-\ud83d"])("it is secret-\ufffd")).toBe("it is [redacted]");
  });

  test("keeps values of fewer than 6 characters, and takes characters of regular expressions literally", () => {
    expect(createMasker(["true", "", "a.*b$&c"])("true is true, aXXb$&c, a.*b$&c")).toBe(
      "true is true, aXXb$&c, [redacted]",
    );
    expect(createMasker([])("as it is")).toBe("as it is");
  });

  test("is the same as when every place is compared with every secret", () => {
    const letters = (minLength: number, maxLength: number) =>
      fc.string({ unit: fc.constantFrom("a", "b", "\u0161"), minLength, maxLength });
    const given = fc.array(letters(6, 12), { minLength: 1, maxLength: 8 }).chain((secrets) => {
      const bits = fc.oneof(
        letters(0, 8),
        fc.constantFrom(...secrets),
        fc.constantFrom(...secrets.map((one) => one.slice(3))),
      );
      return fc.tuple(fc.constant(secrets), fc.array(bits, { maxLength: 8 }));
    });
    fc.assert(
      fc.property(given, ([secrets, bits]) => {
        expect(createMasker(secrets)(bits.join(""))).toBe(maskSlowly(secrets, bits.join("")));
      }),
      { numRuns: 2_000 },
    );
  });

  test("has each character read at most once for each secret, however alike text and secrets are", () => {
    const secrets = Array.from({ length: 50 }, (_, index) => `${"a".repeat(200 + index)}b${"a".repeat(200)}`);
    const mask = createMasker(secrets);
    let read = 0;
    const text = Object.assign(Object("a".repeat(5_000)) as string, { charCodeAt: () => (read++, 97) });
    expect(mask(text)).toBe("a".repeat(5_000));
    expect(read).toBeLessThanOrEqual(5_000 * secrets.length);
  });
});

describe("masked lines", () => {
  test("have the mask where a secret begins when a line is cut through it", () => {
    const line = `${"y".repeat(92)}hunter22-and-more end`;
    const lines = cut(line, 100);
    expect(textsOf(createLineMasker(["hunter22-and-more"])(lines))).toEqual([`${"y".repeat(92)}[redacted]`, " end"]);
  });

  test("have one mask for a secret that is longer than a fragment", () => {
    const secret = Array.from({ length: 50 }, (_, index) => `part ${index} `).join("");
    const masked = textsOf(createLineMasker([secret])(cut(`begin ${secret}end`, 20)));
    expect(masked).toHaveLength(cut(`begin ${secret}end`, 20).length);
    expect(masked.filter((text) => text !== "")).toEqual(["begin [redacted]", "end"]);
  });

  test("come at once, except a fragment that ends with what may be the beginning of a secret", () => {
    const mask = createLineMasker<Fragment>(["hunter22"]);
    const [plain, open, rest] = ["no secret", "beware of the hun", "ters"];
    expect(textsOf(mask([{ stream: "stdout", text: "a whole one: hun" }]))).toEqual(["a whole one: hun"]);
    expect(textsOf(mask([{ stream: "stdout", text: plain, continued: true }]))).toEqual([plain]);
    expect(mask([{ stream: "stdout", text: open, continued: true }])).toEqual([]);
    // The other stream does not wait.
    expect(textsOf(mask([{ stream: "stderr", text: "ter22 is free" }]))).toEqual(["ter22 is free"]);
    expect(textsOf(mask([{ stream: "stdout", text: rest }]))).toEqual([open, rest]);
  });

  test("have the same masks for a line in fragments as for a whole one, and keep the number and order of fragments", () => {
    const word = fc.constantFrom(
      "aaaaaa",
      "aaaaaab",
      "abcabcabc",
      "bcabca",
      "aab\ncaabba",
      'q"uo"te',
      "a",
      "b",
      "c",
      "ab",
    );
    const secrets = fc.subarray([
      "aaaaaa",
      "aaaaaab",
      "abcabcabc",
      "bcabca",
      "aab\ncaabba",
      'q"uo"te',
      "aaaaaaaaaaaaaaab",
    ]);
    const line = fc.array(word, { maxLength: 12 }).map((words) => words.join(""));
    fc.assert(
      fc.property(
        secrets,
        fc.array(fc.tuple(line, fc.integer({ min: 1, max: 9 })), { maxLength: 4 }),
        (given, lines) => {
          const [whole, inFragments] = [createMasker(given), createLineMasker<Fragment>(given)];
          for (const [text, length] of lines) {
            const fragments = cut(text, length);
            const masked = fragments.flatMap((fragment) => inFragments([fragment]));
            expect(textsOf(masked).join("")).toBe(whole(text));
            expect(masked).toHaveLength(fragments.length);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("secrets are refused", () => {
  test("when they have more than 100 lines in all", () => {
    const half = Array.from({ length: 50 }, (_, index) => `line-${index}`).join("\n");
    expect(tooMuchToMask([half, half])).toBeNull();
    expect(tooMuchToMask([half, half, "one more"])).toBe("must hold at most 100 lines in all, and hold 101");
  });

  test("when all the forms to look for have more than 262,144 characters in all", () => {
    expect(tooMuchToMask(["x".repeat(262_144)])).toBeNull();
    expect(tooMuchToMask(["x".repeat(200_000), "y".repeat(62_145)])).toMatch(/come to 262145 characters/);
    expect(tooMuchToMask(["\u00e4".repeat(40_000)])).toMatch(/come to 280000 characters/);
  });
});

test("a secret can be masked when one of its lines has at least 6 characters", () => {
  expect(["sesame", "a\nsesame", "  sesame\r\n"].filter(isMaskable)).toHaveLength(3);
  expect(["", "short", "      ", "ab\ncd\nef\n", "five5\r\nfive5"].filter(isMaskable)).toEqual([]);
});
