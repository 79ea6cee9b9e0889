import { describe, expect, test } from "vitest";
import { parseImageReference } from "./image-reference.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("an image reference", () => {
  test.each([
    ["node", "node", "latest"],
    ["node:24-slim", "node", "24-slim"],
    ["library/node", "library/node", "latest"],
    ["sandbox-local/node:24", "sandbox-local/node", "24"],
    ["localhost:5000/team/app:v1.2_3", "localhost:5000/team/app", "v1.2_3"],
    ["registry.example.com/a/b__c/d-e", "registry.example.com/a/b__c/d-e", "latest"],
    [`node@${DIGEST}`, "node", DIGEST],
    [`ghcr.io/x/y:1@${DIGEST}`, "ghcr.io/x/y", DIGEST],
  ])("%s is taken apart as the engine does", (text, name, version) => {
    expect(parseImageReference(text)).toEqual({ name, version });
  });

  test.each([
    "",
    " node",
    "Node",
    "UPPER/x",
    "node:",
    "node:-x",
    "node:a b",
    "node@sha256:abc",
    "/node",
    "node/",
    "a//b",
    "../../containers/json",
    "node?x=1",
    "node#x",
    "node%2f",
    "node\n",
    "nöde",
    "a/../b",
    `node:${"x".repeat(129)}`,
    "a/".repeat(200),
    "x".repeat(256),
  ])("%j is refused", (text) => {
    expect(parseImageReference(text)).toBeNull();
  });

  test("a hostile text is refused quickly", () => {
    const start = performance.now();
    for (const text of [
      `${"a-".repeat(240)}!`,
      `${"a.".repeat(240)}!`,
      `${"-".repeat(490)}`,
      `${"a/".repeat(245)}!`,
      `a${"_".repeat(480)}`,
    ]) {
      expect(parseImageReference(text)).toBeNull();
    }
    expect(performance.now() - start).toBeLessThan(500);
  });
});
