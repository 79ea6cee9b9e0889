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

describe("a version's file", () => {
  it("can be read back, holds its port, and denies the environments' subnets", () => {
    const text = renderVersion(NOW, { address: "10.171.0.2", denied: ["10.172.0.0/16"] }, PORTS);
    expect(parseVersion(text)).toBe(NOW);
    expect(text).toContain(`listen 10.171.0.2:${versionPort(NOW, PORTS)};`);
    expect(text).toContain("deny 10.172.0.0/16;\nallow all;");
  });

  it("is no environment's file", () => {
    expect(isEnvironmentId(VERSION_FILE.replace(".conf", ""))).toBe(false);
  });

  it.each([null, "", "server {}", "add_header x-sandbox-config-version evil;"])(
    "reads as none when it holds %j",
    (text) => {
      expect(parseVersion(text)).toBe(null);
    },
  );

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
