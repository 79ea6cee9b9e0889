import { describe, expect, it } from "vitest";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import {
  DEFAULT_GENERATION_PORTS as PORTS,
  GENERATION_FILE,
  generationPort,
  nextGeneration,
  parseGeneration,
  renderGeneration,
} from "./config-version.ts";

const NOW = Date.UTC(2030, 0, 1);

describe("a generation's file", () => {
  it("can be read back, holds its port, and denies the environments' subnets", () => {
    const text = renderGeneration(NOW, { address: "10.171.0.2", denied: ["10.172.0.0/16"] }, PORTS);
    expect(parseGeneration(text)).toBe(NOW);
    expect(text).toContain(`listen 10.171.0.2:${generationPort(NOW, PORTS)};`);
    expect(text).toContain("deny 10.172.0.0/16;\nallow all;");
  });

  it("is no environment's file", () => {
    expect(isEnvironmentId(GENERATION_FILE.replace(".conf", ""))).toBe(false);
  });

  it.each([null, "", "server {}", "add_header x-sandbox-generation evil;"])(
    "reads as none when it holds %j",
    (text) => {
      expect(parseGeneration(text)).toBe(null);
    },
  );

  it("refuses a subnet that is none", () => {
    expect(() => renderGeneration(1, { address: "10.171.0.2", denied: ["all; }"] }, PORTS)).toThrow(
      expect.objectContaining({ code: "ingress_rejected" }),
    );
  });
});

describe("nextGeneration", () => {
  it("begins with the time when there was none", () => {
    expect(nextGeneration(null, null, NOW, PORTS)).toBe(NOW);
  });

  it.each([
    [5, 5, 6],
    [7, 5, 8],
    [5, 9, 10],
    [null, 9, 10],
    [5, null, 6],
  ])("follows the file's %s and the live %s with %i", (former, live, expected) => {
    expect(nextGeneration(former, live, NOW, PORTS)).toBe(expected);
  });

  it("never takes the port that is listened on now", () => {
    for (let former = 0; former < 40; former++) {
      for (let live = 0; live < 40; live++) {
        const next = nextGeneration(former, live, NOW, PORTS);
        expect(next).toBeGreaterThan(Math.max(former, live));
        expect(generationPort(next, PORTS)).not.toBe(generationPort(live, PORTS));
      }
    }
  });
});
