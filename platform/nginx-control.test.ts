import { beforeEach, describe, expect, test } from "vitest";
import type { FakeEngine } from "./engine/fake-engine.ts";
import type { NginxControl } from "./ingress/nginx-ingress.ts";
import { createNginxControl } from "./nginx-control.ts";
import { createFakeContext } from "./test/support/fake-context.ts";

let engine: FakeEngine;
let control: NginxControl;
let cutOff: AbortController;

beforeEach(async () => {
  const { settings, ...context } = await createFakeContext();
  ({ engine } = context);
  cutOff = new AbortController();
  control = createNginxControl(engine.containers, settings.nginxContainer, {
    testLimitMs: 60_000,
    cutOff: cutOff.signal,
  });
});

describe("what nginx -t says", () => {
  test.each([
    [0, true],
    [1, false],
  ])("is its verdict where it ends with %i", async (exitCode, ok) => {
    engine.onExec(() => ({ exitCode, output: "its words" }));
    expect(await control.test()).toEqual({ ok, output: "its words" });
  });

  test.each([
    [137, ""],
    [126, "OCI runtime exec failed: no space left on device"],
  ])("is none where it ends with %i: then it could not be run", async (exitCode, output) => {
    engine.onExec(() => ({ exitCode, output }));
    await expect(control.test()).rejects.toMatchObject({
      code: "engine_failed",
      message: expect.stringContaining(`exit code ${exitCode}${output === "" ? "" : `: ${output}`}`),
    });
  });

  test("is not waited for once the platform has no time left", async () => {
    engine.onExec(() => {
      cutOff.abort();
      return new Promise(() => {});
    });
    await expect(control.test()).rejects.toBe(cutOff.signal.reason);
  });
});
