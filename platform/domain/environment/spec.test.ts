import { expect, test } from "vitest";
import { isPlain, resolveSpec, type EnvironmentRequest } from "./spec.ts";

const DEFAULTS = {
  defaultImage: "demo:latest",
  defaultTtl: 1800,
  maxTtl: 86_400,
  defaultResources: { memory_mb: 256, cpus: 1, pids: 128 },
};

test("a request that leaves everything out gets every default", () => {
  expect(resolveSpec({}, DEFAULTS)).toEqual({
    name: null,
    ttl: 1800,
    image: "demo:latest",
    port: null,
    health_path: "/health",
    command: null,
    env: {},
    secrets: {},
    egress: true,
    resources: { memory_mb: 256, cpus: 1, pids: 128 },
  });
});

test("a request that chooses everything keeps every choice", () => {
  const request = {
    name: "mine",
    ttl: 60,
    image: "other:1",
    port: 80,
    health_path: "/up",
    command: ["serve"],
    env: { A: "1" },
    secrets: { TOKEN: "a secret" },
    egress: false,
    resources: { memory_mb: 64, cpus: 0.5, pids: 16 },
  };
  expect(resolveSpec(request, DEFAULTS)).toEqual(request);
});

test.each<[string, EnvironmentRequest, object]>([
  ["a name of spaces is left to be invented", { name: "  " }, { name: null }],
  ["a name is trimmed", { name: " mine " }, { name: "mine" }],
  [
    "one limit keeps the other defaults",
    { resources: { cpus: 2 } },
    { resources: { memory_mb: 256, cpus: 2, pids: 128 } },
  ],
])("in a spec %s", (_, request, expected) => {
  expect(resolveSpec(request, DEFAULTS)).toMatchObject(expected);
});

test("the default lifetime is never above MAX_TTL", () => {
  expect(resolveSpec({}, { ...DEFAULTS, maxTtl: 60 }).ttl).toBe(60);
});

test.each<[EnvironmentRequest, boolean]>([
  [{}, true],
  [{ ttl: 60, image: "other:1" }, true],
  [{ egress: true, env: {}, name: " ", health_path: "/health", resources: { cpus: 1 } }, true],
  [{ name: "mine" }, false],
  [{ port: 3000 }, false],
  [{ health_path: "/up" }, false],
  [{ command: ["serve"] }, false],
  [{ env: { A: "1" } }, false],
  [{ secrets: { TOKEN: "a secret" } }, false],
  [{ egress: false }, false],
  [{ resources: { cpus: 2 } }, false],
])("whether a warm environment can serve %j: %s", (request, expected) => {
  expect(isPlain(resolveSpec(request, DEFAULTS), DEFAULTS)).toBe(expected);
});
