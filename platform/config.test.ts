import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { describe, expect, test } from "vitest";
import { defaultSettings, loadConfig } from "./config.ts";

/** Settings that the compose file and the scripts read, and the platform does not. */
const SCRIPTS_ONLY = new Set([
  "NGINX_BIND",
  "NODE_IMAGE",
  "NGINX_IMAGE",
  "FIREWALL_IMAGE",
  "API_TOKEN",
  "SOCKET_FILTER",
  "PLATFORM_CGROUP_PARENT",
]);

test("without any setting everything has its default", () => {
  const config = loadConfig({});
  expect(config.PLATFORM_PORT).toBe(8080);
  expect(config.DEFAULT_TTL).toBe(1800);
  expect(config.ENVS_DIR).toMatch(/^\/.*envs$/);
});

test("an empty variable counts as absent", () => {
  expect(loadConfig({ PLATFORM_PORT: "", INSTANCE: " " }).INSTANCE).toBe("sandbox");
});

test("the configuration cannot be changed", () => {
  expect(Object.isFrozen(loadConfig({}))).toBe(true);
});

test.each(["127.0.0.1", "127.0.0.2", "::1", "localhost"])("%s needs no tokens", (PLATFORM_HOST) => {
  expect(loadConfig({ PLATFORM_HOST }).PLATFORM_HOST).toBe(PLATFORM_HOST);
});

test("with tokens the API may listen anywhere", () => {
  const config = loadConfig({ PLATFORM_HOST: "0.0.0.0", API_TOKENS_FILE: "tokens.json" });
  expect(config.API_TOKENS_FILE).toMatch(/^\/.*tokens\.json$/);
});

test("proxies are trusted by address and by range", () => {
  const TRUSTED_PROXIES = "127.0.0.1, 10.0.0.0/8,::1,fd00::/8";
  expect(loadConfig({ TRUSTED_PROXIES }).TRUSTED_PROXIES).toBe(TRUSTED_PROXIES);
});

describe("a bad setting is named in the error", () => {
  test.each([
    [{ PLATFORM_PORT: "eighty" }, /PLATFORM_PORT/],
    [{ SUBNET_POOL: "10.172.0.1/16" }, /SUBNET_POOL/],
    [{ INSTANCE: "Sand box" }, /INSTANCE/],
    [{ BASE_DOMAIN: "a;b" }, /BASE_DOMAIN/],
    [{ DEFAULT_TTL: "5" }, /DEFAULT_TTL/],
    [{ DEFAULT_TTL: "600", MAX_TTL: "60" }, /above MAX_TTL/],
    [{ SUBNET_POOL: "10.171.0.0/16" }, /overlap/],
    [{ NGINX_ADDRESS: "10.9.9.9" }, /outside PLATFORM_SUBNET/],
    [{ PLATFORM_HOST: "0.0.0.0" }, /without tokens the API listens on loopback only.*make token/],
    [{ PLATFORM_HOST: "::" }, /loopback only/],
    [{ PLATFORM_HOST: "127.evil.example" }, /loopback only/],
    [{ API_HOSTS: "ok.example, not ok" }, /API_HOSTS/],
    [{ TRUSTED_PROXIES: "127.0.0.1, proxy.example" }, /TRUSTED_PROXIES/],
    [{ TRUSTED_PROXIES: "10.0.0.0/33" }, /TRUSTED_PROXIES/],
    [{ TRUSTED_PROXIES: "10.0.0.0/8/8" }, /TRUSTED_PROXIES/],
    [{ TRUSTED_PROXIES: "0.0.0.0/0" }, /TRUSTED_PROXIES.*not everybody's/],
    [{ MAX_MEMORY_MB: "-1" }, /MAX_MEMORY_MB/],
    [{ IMAGE_REGISTRIES: "ghcr.io, https://quay.io" }, /IMAGE_REGISTRIES/],
  ])("%o", (variables, message) => {
    expect(() => loadConfig(variables)).toThrow(message);
  });
});

test(".env.example lists every setting with its default", () => {
  const example = parseEnv(readFileSync(new URL("../.env.example", import.meta.url), "utf8"));
  const defaults = Object.fromEntries(Object.entries(defaultSettings()).map(([name, value]) => [name, String(value)]));
  const documented = Object.fromEntries(Object.entries(example).filter(([name]) => !SCRIPTS_ONLY.has(name)));
  expect(documented).toEqual(defaults);
});
