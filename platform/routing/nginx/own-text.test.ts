import { describe, expect, it } from "vitest";
import { DEFAULT_VERSION_PORTS, VERSION_FILE, renderVersion } from "./config-version.ts";
import { isOwnText } from "./own-text.ts";
import { renderServerBlock } from "./server-block.ts";

const DOOR = { address: "10.171.0.2", denied: ["10.172.0.0/16"] };
const ROUTE = { id: "env-a-1", host: "env-a-1.localhost", address: "10.172.0.3", port: 3000 };
const BLOCK = renderServerBlock(ROUTE, DOOR);
const VERSION = renderVersion(1_700_000_000_001, DOOR, DEFAULT_VERSION_PORTS);
const isOwn = (file: string, text: string) => isOwnText(file, text, DOOR, DEFAULT_VERSION_PORTS);

describe("isOwnText", () => {
  it("knows what the platform wrote, whichever route and version it was", () => {
    expect(isOwn("env-a-1.conf", BLOCK)).toBe(true);
    expect(isOwn(VERSION_FILE, VERSION)).toBe(true);
  });

  it.each([
    ["nothing", ""],
    ["garbage", "garbage"],
    ["a part of it", BLOCK.slice(0, -3)],
    ["something added", `${BLOCK}server { listen 80; }\n`],
    ["a port that is none", BLOCK.replace(":3000", ":70000")],
    ["another environment's", renderServerBlock({ ...ROUTE, id: "env-b-1" }, DOOR)],
    ["other subnets", renderServerBlock(ROUTE, { ...DOOR, denied: ["10.0.0.0/8"] })],
    ["another address to listen on", renderServerBlock(ROUTE, { ...DOOR, address: "10.171.0.3" })],
  ])("an environment's file with %s is not the platform's", (_what, text) => {
    expect(isOwn("env-a-1.conf", text)).toBe(false);
  });

  it.each([
    ["nothing", ""],
    ["garbage", "garbage"],
    ["a part of it", VERSION.slice(0, -3)],
    ["another port", VERSION.replace(/:81\d\d;/, ":9000;")],
    ["a route", BLOCK],
  ])("a version's file with %s is not the platform's", (_what, text) => {
    expect(isOwn(VERSION_FILE, text)).toBe(false);
  });
});
