import { describe, expect, test } from "vitest";
import { isRegistryRule, mayPull } from "./image-registries.ts";

const from = (registry: string | null, path = "team/app") => ({ registry, path });

describe("an image may be pulled", () => {
  test.each([
    ["Docker Hub", null, []],
    ["a registry that is named", "ghcr.io", ["quay.io", "ghcr.io"]],
    ["a registry that is named in other letters", "GHCR.io", ["ghcr.io"]],
    ["a port that is named", "registry.example.com:5000", ["registry.example.com:5000"]],
    ["a folder that is named", "ghcr.io", ["ghcr.io/team"]],
    ["this machine, where a rule names it", "localhost:5000", ["localhost:5000"]],
    ["an address, where a rule names it", "10.1.2.3:5000", ["10.1.2.3:5000"]],
    ["every public name", "registry.example.com:5000", ["*"]],
  ])("from %s", (_, registry, rules) => {
    expect(mayPull(from(registry), rules)).toBe(true);
  });
});

describe("an image may not be pulled", () => {
  test.each([
    ["another registry than Docker Hub, unless it is named", "ghcr.io", []],
    ["a registry that no rule names", "evil.example", ["ghcr.io"]],
    ["a name that begins like a rule", "ghcr.io.evil.example", ["ghcr.io"]],
    ["a name that ends like a rule", "evil.ghcr.io", ["ghcr.io"]],
    ["another port", "ghcr.io:8443", ["ghcr.io"]],
    ["another folder", "ghcr.io", ["ghcr.io/te", "ghcr.io/team/app/more", "ghcr.io/other"]],
  ])("from %s", (_, registry, rules) => {
    expect(mayPull(from(registry), rules)).toBe(false);
  });

  test.each([
    "127.0.0.1",
    "127.0.0.1:8080",
    "169.254.169.254",
    "127.1",
    "0x7f.1",
    "1.2.3.0x4",
    "localhost",
    "localhost:5000",
    "registry:5000",
    "app.localhost",
    "metadata.google.internal",
    "printer.local:80",
    "LOCALHOST:1",
  ])("from %s, which is no public name, unless it is named", (registry) => {
    expect(mayPull(from(registry), ["*"])).toBe(false);
    expect(mayPull(from(registry), ["*", registry.toLowerCase()])).toBe(true);
  });
});

test("a rule is a registry, perhaps with folders, or a star", () => {
  const good = ["*", "ghcr.io", "localhost", "registry:5000", "10.0.0.1:5000/team", "a-b.c/d__e/f.g-h"];
  expect(good.filter((rule) => !isRegistryRule(rule))).toEqual([]);
  const bad = [
    "",
    "https://ghcr.io",
    "GHCR.io",
    "ghcr.io/",
    "/team",
    "*.ghcr.io",
    "ghcr.io:port",
    "a b",
    "a..b",
    "-a.b",
  ];
  expect(bad.filter(isRegistryRule)).toEqual([]);
});
