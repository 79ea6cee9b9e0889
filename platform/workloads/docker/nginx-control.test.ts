import { beforeEach, expect, test } from "vitest";
import type { NginxControl } from "../../routing/nginx/nginx-control.ts";
import type { FakeEngine } from "../../test/fakes/fake-engine.ts";
import { createFakePlatform } from "../../test/support/fake-platform.ts";
import { createNginxControl } from "./nginx-control.ts";

let engine: FakeEngine;
let deadline: AbortController;
let control: NginxControl;

beforeEach(async () => {
  ({ engine } = await createFakePlatform());
  deadline = new AbortController();
  control = createNginxControl({
    container: "sandbox-nginx",
    containers: engine.containers,
    testLimitMs: 60_000,
    shutdownDeadline: deadline.signal,
  });
});

const calls = () => engine.calls.filter(({ method }) => /kill|start/.test(method)).map(({ args }) => args.slice(1));

test.each([
  [0, true],
  [1, false],
])("nginx -t that ends with %i is a verdict: %s", async (exitCode, ok) => {
  engine.onExec(() => ({ exitCode, output: "its words" }));
  expect(await control.test()).toEqual({ ok, output: "its words" });
});

test.each([
  [137, ""],
  [126, "OCI runtime exec failed: no space left on device"],
])("nginx -t that ends with %i is no verdict: it throws engine_failed with the output", async (exitCode, output) => {
  engine.onExec(() => ({ exitCode, output }));
  await expect(control.test()).rejects.toMatchObject({
    code: "engine_failed",
    message: expect.stringContaining(`exit code ${exitCode}${output === "" ? "" : `: ${output}`}`),
  });
});

test("nginx -t is not waited for once the shutdown deadline has passed", async () => {
  engine.onExec(() => {
    deadline.abort();
    return new Promise(() => {});
  });
  await expect(control.test()).rejects.toMatchObject({ name: "AbortError" });
});

test("a reload sends SIGHUP, and a restart kills and starts the container", async () => {
  engine.calls.length = 0;
  await control.reload();
  expect(calls()).toEqual([["SIGHUP"]]);
  await control.restart();
  expect(calls()).toEqual([["SIGHUP"], ["SIGKILL"], []]);
});
