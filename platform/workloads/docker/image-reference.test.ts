import { describe, expect, test } from "vitest";
import { parseImageReference } from "./image-reference.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("an image reference", () => {
  test.each([
    ["node", { name: "node", version: "latest", registry: null, path: "node" }],
    ["node:24-slim", { name: "node", version: "24-slim", registry: null }],
    ["library/node", { name: "library/node", version: "latest", registry: null, path: "library/node" }],
    ["sandbox-local/node:24", { name: "sandbox-local/node", version: "24", registry: null }],
    ["node.js", { name: "node.js", registry: null }],
    ["docker.io/team/app", { name: "docker.io/team/app", registry: null, path: "team/app" }],
    ["index.docker.io/app", { registry: null }],
    ["Docker.io/app", { registry: "Docker.io" }],
    ["localhost/app", { registry: "localhost", path: "app" }],
    [
      "localhost:5000/team/app:v1.2_3",
      { name: "localhost:5000/team/app", version: "v1.2_3", registry: "localhost:5000", path: "team/app" },
    ],
    ["127.0.0.1:8080/x:1", { name: "127.0.0.1:8080/x", version: "1", registry: "127.0.0.1:8080", path: "x" }],
    ["registry.example.com/a/b__c/d-e", { version: "latest", registry: "registry.example.com", path: "a/b__c/d-e" }],
    [`node@${DIGEST}`, { name: "node", version: DIGEST, registry: null }],
    [`ghcr.io/x/y:1@${DIGEST}`, { name: "ghcr.io/x/y", version: DIGEST, registry: "ghcr.io", path: "x/y" }],
  ])("%s is taken apart as the engine does", (text, parts) => {
    expect(parseImageReference(text)).toMatchObject(parts);
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
    "a_b.example/app",
    "[::1]:5000/app",
    `node:${"x".repeat(129)}`,
    "a/".repeat(200),
    "x".repeat(256),
  ])("%j is refused", (text) => {
    expect(parseImageReference(text)).toBeNull();
  });

  test("a text made to keep a pattern busy is refused", () => {
    for (const text of [
      `${"a-".repeat(240)}!`,
      `${"a.".repeat(240)}!`,
      `${"-".repeat(490)}`,
      `${"a/".repeat(245)}!`,
      `a${"_".repeat(480)}`,
    ]) {
      expect(parseImageReference(text)).toBeNull();
    }
  });
});
