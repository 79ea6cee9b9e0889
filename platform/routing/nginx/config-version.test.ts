import { describe, expect, it } from "vitest";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import {
  DEFAULT_VERSION_PORTS as PORTS,
  VERSION_FILE,
  versionPort,
  nextVersion,
  parseVersion,
  renderVersion,
} from "./config-version.ts";

const NOW = Date.UTC(2030, 0, 1);

describe("a config version's file", () => {
  const LISTENER = { address: "10.171.0.2", denied: ["10.172.0.0/16"] };
  const TEXT = renderVersion(NOW, LISTENER, PORTS);

  it("can be read back, holds its port, and denies the environments' subnets", () => {
    expect(parseVersion(TEXT, LISTENER, PORTS)).toBe(NOW);
    expect(TEXT).toContain(`listen 10.171.0.2:${versionPort(NOW, PORTS)};`);
    expect(TEXT).toContain("deny 10.172.0.0/16;\nallow all;");
  });

  it("is no environment's file", () => {
    expect(isEnvironmentId(VERSION_FILE.replace(".conf", ""))).toBe(false);
  });

  it.each([
    ["no file", null],
    ["nothing", ""],
    ["another configuration", "server {}"],
    ["a part of it", TEXT.slice(0, -3)],
    ["another port", TEXT.replace(/:81\d\d;/, ":9000;")],
    ["a number that is none", TEXT.replace(String(NOW), "evil")],
    ["other subnets", renderVersion(NOW, { ...LISTENER, denied: [] }, PORTS)],
  ])("reads as no version where there is %s", (_what, text) => {
    expect(parseVersion(text, LISTENER, PORTS)).toBe(null);
  });

  it("refuses a subnet that is none", () => {
    expect(() => renderVersion(1, { address: "10.171.0.2", denied: ["all; }"] }, PORTS)).toThrow(
      expect.objectContaining({ code: "ingress_rejected" }),
    );
  });
});

describe("nextVersion", () => {
  it("begins with the time when there was none", () => {
    expect(nextVersion(null, null, NOW, PORTS)).toBe(NOW);
  });

  it.each([
    [5, 5, 6],
    [7, 5, 8],
    [5, 9, 10],
    [null, 9, 10],
    [5, null, 6],
  ])("follows the file's %s and the live %s with %i", (former, live, expected) => {
    expect(nextVersion(former, live, NOW, PORTS)).toBe(expected);
  });

  it("never takes the port that is listened on now", () => {
    for (let former = 0; former < 40; former++) {
      for (let live = 0; live < 40; live++) {
        const next = nextVersion(former, live, NOW, PORTS);
        expect(next).toBeGreaterThan(Math.max(former, live));
        expect(versionPort(next, PORTS)).not.toBe(versionPort(live, PORTS));
      }
    }
  });
});
