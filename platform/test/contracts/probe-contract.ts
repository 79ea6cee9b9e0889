import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Probe } from "../../probes/probe.ts";

/** A probe under test, with environments that behave as told. */
export type ProbeSubject = {
  probe: Probe;
  /** A host whose service answers its health check with this status, never answers, or is not there at all. */
  serve(behaviour: { status: number } | "hangs" | "unreachable"): Promise<string>;
  /** Takes the front door itself down. */
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
};

/** What every probe must do. */
export function describeProbeContract(name: string, makeSubject: () => Promise<ProbeSubject>): void {
  describe(`${name} as a probe`, () => {
    let subject: ProbeSubject;
    let probe: Probe;

    beforeAll(async () => {
      subject = await makeSubject();
      ({ probe } = subject);
    });
    afterAll(() => subject?.dispose());

    it.each([200, 204, 302, 399])("calls an environment well that answers %i", async (status) => {
      const host = await subject.serve({ status });
      const result = await probe.check({ host, path: "/health", timeoutMs: 5_000 });
      expect(result).toEqual({ status, ok: true, fault: null, latency_ms: expect.any(Number) });
      expect(result.latency_ms).toBeGreaterThanOrEqual(0);
    });

    it.each([400, 404, 500, 502, 503])("blames an environment that answers %i", async (status) => {
      const host = await subject.serve({ status });
      const result = await probe.check({ host, path: "/health", timeoutMs: 5_000 });
      expect(result).toMatchObject({
        status,
        ok: false,
        fault: "environment",
        error: expect.stringContaining(String(status)),
      });
    });

    it("blames an environment that is not there", async () => {
      const host = await subject.serve("unreachable");
      const result = await probe.check({ host, path: "/health", timeoutMs: 10_000 });
      expect(result).toMatchObject({ ok: false, fault: "environment", error: expect.any(String) });
    });

    it("gives up on an environment that hangs when the time limit is reached, and blames it", async () => {
      const host = await subject.serve("hangs");
      const result = await probe.check({ host, path: "/health", timeoutMs: 300 });
      expect(result).toMatchObject({
        status: null,
        ok: false,
        fault: "environment",
        error: expect.stringContaining("300"),
      });
      expect(result.latency_ms).toBeGreaterThanOrEqual(299);
    });

    it("ends at once, blaming no environment, when its signal aborts", async () => {
      const host = await subject.serve("hangs");
      const controller = new AbortController();
      const checking = probe.check({ host, path: "/health", timeoutMs: 60_000, signal: controller.signal });
      controller.abort();
      expect(await checking).toMatchObject({ status: null, ok: false, fault: "ingress" });
      expect(await probe.check({ host, path: "/health", timeoutMs: 60_000, signal: controller.signal })).toMatchObject({
        ok: false,
        fault: "ingress",
      });
    });

    it("blames the front door for a host that has no route", async () => {
      const result = await probe.check({ host: "env-nobody.localhost", path: "/health", timeoutMs: 5_000 });
      expect(result).toMatchObject({ status: 404, ok: false, fault: "ingress", error: expect.any(String) });
    });

    it("checks 150 environments while 50 others hang, all at once", async () => {
      const [well, hanging] = await Promise.all([subject.serve({ status: 200 }), subject.serve("hangs")]);
      const over = new AbortController();
      const hosts = Array.from({ length: 200 }, (_, index) => (index % 4 === 0 ? hanging : well));
      const ended: string[] = [];
      const checks = hosts.map(async (host) => {
        const result = await probe.check({ host, path: "/health", timeoutMs: 60_000, signal: over.signal });
        ended.push(host);
        return result;
      });
      for (const { ok } of await Promise.all(checks.filter((_, index) => hosts[index] === well))) expect(ok).toBe(true);
      expect(new Set(ended)).toEqual(new Set([well]));
      over.abort();
      await Promise.all(checks);
    });

    it("blames the front door while that is down, and nobody once it is back", async () => {
      const host = await subject.serve({ status: 200 });
      await subject.stop();
      try {
        const result = await probe.check({ host, path: "/health", timeoutMs: 5_000 });
        expect(result).toMatchObject({ status: null, ok: false, fault: "ingress", error: expect.any(String) });
      } finally {
        await subject.start();
      }
      expect(await probe.check({ host, path: "/health", timeoutMs: 5_000 })).toMatchObject({ ok: true, fault: null });
    });
  });
}
