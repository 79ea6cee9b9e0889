import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLineRedactor, createRedactor, isMaskable, tooMuchToMask, type Piece } from "./secret-masking.ts";

/** A line cut into pieces of this length, on one stream. */
function cut(line: string, length: number, stream = "stdout"): Piece[] {
  const count = Math.max(1, Math.ceil(line.length / length));
  return Array.from({ length: count }, (_, index) => ({
    stream,
    text: line.slice(index * length, (index + 1) * length),
    ...(index < count - 1 ? { continued: true as const } : {}),
  }));
}

const textsOf = (pieces: Piece[]) => pieces.map(({ text }) => text);

describe("a text", () => {
  test("has every occurrence of a secret masked, also of one within another", () => {
    const redact = createRedactor(["hunter22", "hunter22-and-more"]);
    expect(redact("a hunter22 b hunter22-and-more c hunter22")).toBe("a [redacted] b [redacted] c [redacted]");
  });

  test("has a secret of several lines masked line by line", () => {
    const redact = createRedactor(["-----BEGIN KEY-----\n  c2VjcmV0\n-----END KEY-----\n", "abc\rdefgh\nxyz"]);
    expect(redact("  c2VjcmV0")).toBe("  [redacted]");
    expect(redact("abc\rdefgh")).toBe("[redacted]");
  });

  test("has a secret masked as JSON writes it", () => {
    expect(createRedactor(['pa"ss\\word'])(JSON.stringify({ it: 'pa"ss\\word' }))).toBe('{"it":"[redacted]"}');
  });

  test.each([
    ["Python", "p\u00e4ss-\u{1f4a5}-word", '{"it":"p\\u00e4ss-\\ud83d\\udca5-word"}'],
    ["Go", "a<b>&secret", '{"it":"a\\u003cb\\u003e\\u0026secret"}'],
    ["PHP", "http://\u00e4/secret", '{"it":"http:\\/\\/\\u00e4\\/secret"}'],
    ["PHP, told to leave characters", "http://\u00e4/secret", '{"it":"http:\\/\\/\u00e4\\/secret"}'],
  ])("has a secret masked as the JSON of %s writes it", (_language, secret, printed) => {
    expect(createRedactor([secret])(printed)).toBe('{"it":"[redacted]"}');
  });

  test("has all of two secrets masked that overlap in it", () => {
    expect(createRedactor(["abcdefgh", "efghijklm"])("<abcdefghijklm>")).toBe("<[redacted]>");
  });

  test("has a secret masked that is half a character, as the container is given it", () => {
    expect(createRedactor(["secret-\ud83d"])("it is secret-\ufffd")).toBe("it is [redacted]");
  });

  test("is as it was where a value is short; patterns mean nothing special", () => {
    expect(createRedactor(["true", "", "a.*b$&c"])("true is true, aXXb$&c, a.*b$&c")).toBe(
      "true is true, aXXb$&c, [redacted]",
    );
    expect(createRedactor([])("as it is")).toBe("as it is");
  });
});

describe("lines", () => {
  test("have a secret masked that lies across the cut of a long one", () => {
    const line = `${"y".repeat(92)}hunter22-and-more end`;
    const lines = cut(line, 100);
    expect(textsOf(createLineRedactor(["hunter22-and-more"])(lines))).toEqual([`${"y".repeat(92)}[redacted]`, " end"]);
  });

  test("have a secret masked that is longer than a piece", () => {
    const secret = Array.from({ length: 50 }, (_, index) => `part ${index} `).join("");
    const redacted = textsOf(createLineRedactor([secret])(cut(`begin ${secret}end`, 20)));
    expect(redacted).toHaveLength(cut(`begin ${secret}end`, 20).length);
    expect(redacted.filter((text) => text !== "")).toEqual(["begin [redacted]", "end"]);
  });

  test("come at once, save a piece that ends like the beginning of a secret", () => {
    const redact = createLineRedactor<Piece>(["hunter22"]);
    const [plain, open, rest] = ["no secret", "beware of the hun", "ters"];
    expect(textsOf(redact([{ stream: "stdout", text: "a whole one: hun" }]))).toEqual(["a whole one: hun"]);
    expect(textsOf(redact([{ stream: "stdout", text: plain, continued: true }]))).toEqual([plain]);
    expect(redact([{ stream: "stdout", text: open, continued: true }])).toEqual([]);
    // The other stream does not wait.
    expect(textsOf(redact([{ stream: "stderr", text: "ter22 is free" }]))).toEqual(["ter22 is free"]);
    expect(textsOf(redact([{ stream: "stdout", text: rest }]))).toEqual([open, rest]);
  });

  test("have the same masked in pieces as in one, however cut, and keep their number and order", () => {
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
          const [whole, inPieces] = [createRedactor(given), createLineRedactor<Piece>(given)];
          for (const [text, length] of lines) {
            const pieces = cut(text, length);
            const redacted = pieces.flatMap((piece) => inPieces([piece]));
            expect(textsOf(redacted).join("")).toBe(whole(text));
            expect(redacted).toHaveLength(pieces.length);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("secrets are refused", () => {
  test("where they have too many lines in all to be looked for", () => {
    const half = Array.from({ length: 500 }, (_, index) => `line-${index}`).join("\n");
    expect(tooMuchToMask([half, half])).toBeNull();
    expect(tooMuchToMask([half, half, "one more"])).toBe("must hold at most 1000 lines in all, and hold 1001");
  });

  test("where they are too long in all, counted in all the forms they are looked for in", () => {
    expect(tooMuchToMask(["x".repeat(262_144)])).toBeNull();
    expect(tooMuchToMask(["x".repeat(200_000), "y".repeat(62_145)])).toMatch(/come to 262145 characters/);
    expect(tooMuchToMask(["\u00e4".repeat(40_000)])).toMatch(/come to 280000 characters/);
  });
});

test("a secret can be masked when one of its lines is long enough", () => {
  expect(["sesame", "a\nsesame", "  sesame\r\n"].filter(isMaskable)).toHaveLength(3);
  expect(["", "short", "      ", "ab\ncd\nef\n", "five5\r\nfive5"].filter(isMaskable)).toEqual([]);
});
