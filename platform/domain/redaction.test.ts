import { expect, test } from "vitest";
import { createRedactor } from "./redaction.ts";

test("every occurrence of a secret is masked, also of one within another", () => {
  const redact = createRedactor(["hunter22", "hunter22-and-more"]);
  expect(redact("a hunter22 b hunter22-and-more c hunter22")).toBe("a [redacted] b [redacted] c [redacted]");
});

test("a secret of several lines is masked line by line", () => {
  const redact = createRedactor(["-----BEGIN KEY-----\n  c2VjcmV0\n-----END KEY-----\n"]);
  expect(redact("  c2VjcmV0")).toBe("  [redacted]");
});

test("a secret is masked as JSON writes it", () => {
  expect(createRedactor(['pa"ss\\word'])(JSON.stringify({ it: 'pa"ss\\word' }))).toBe('{"it":"[redacted]"}');
});

test("short values and patterns mean nothing special", () => {
  expect(createRedactor(["true", "", "a.*b$&c"])("true is true, aXXb$&c, a.*b$&c")).toBe(
    "true is true, aXXb$&c, [redacted]",
  );
  expect(createRedactor([])("as it is")).toBe("as it is");
});
