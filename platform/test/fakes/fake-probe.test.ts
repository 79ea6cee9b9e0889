import { describe, expect, it } from "vitest";
import { describeProbeContract } from "../contracts/probe-contract.ts";
import { createFakeProbe } from "./fake-probe.ts";

describeProbeContract("the fake", async () => {
  const probe = createFakeProbe();
  let counter = 0;
  return {
    probe,
    async serve(behaviour) {
      const host = `env-fake-${++counter}.localhost`;
      probe.set(host, behaviour);
      return host;
    },
    stop: async () => probe.setDown(true),
    start: async () => probe.setDown(false),
    dispose: async () => undefined,
  };
});

describe("the fake probe", () => {
  it("remembers what was probed", async () => {
    const probe = createFakeProbe();
    const target = { host: "env-a.localhost", path: "/health", timeoutMs: 10 };
    await probe.check(target);
    expect(probe.calls).toEqual([target]);
  });
});
