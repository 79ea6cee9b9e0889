import { beforeEach, describe, expect, test } from "vitest";
import type { FakeEngine } from "../../test/fakes/fake-engine.ts";
import type { DeskVerb, NginxDesk } from "../../routing/nginx/nginx-desk.ts";
import type { NginxControl } from "../../routing/nginx/nginx-router.ts";
import { createNginxControl } from "./nginx-control.ts";
import { createFakePlatform } from "../../test/support/fake-platform.ts";

let engine: FakeEngine;
let cutOff: AbortController;
let makeControl: (ask: NginxDesk["ask"], testLimitMs?: number, logger?: NginxLogger) => NginxControl;

type NginxLogger = NonNullable<Parameters<typeof createNginxControl>[0]["logger"]>;

const nobody: NginxDesk["ask"] = async () => null;

beforeEach(async () => {
  ({ engine } = await createFakePlatform());
  cutOff = new AbortController();
  makeControl = (ask, testLimitMs = 60_000, logger = { info: () => {}, warn: () => {} }) =>
    createNginxControl({
      container: "sandbox-nginx",
      containers: engine.containers,
      desk: { ask },
      testLimitMs,
      cutOff: cutOff.signal,
      logger,
    });
});

/** Where what `nginx -t` ends with comes from. */
type Source = (answer: { exitCode: number; output: string }) => NginxControl;

describe.each<{ source: string; controlOf: Source }>([
  {
    source: "from inside",
    controlOf: (answer) => {
      engine.onExec(() => Promise.reject(new Error("the engine was asked")));
      return makeControl(async () => answer);
    },
  },
  {
    source: "from the engine, where nobody inside answers",
    controlOf: (answer) => {
      engine.onExec(() => answer);
      return makeControl(nobody);
    },
  },
])("what nginx -t says, $source,", ({ controlOf }) => {
  test.each([
    [0, true],
    [1, false],
  ])("is its verdict where it ends with %i", async (exitCode, ok) => {
    expect(await controlOf({ exitCode, output: "its words" }).test()).toEqual({ ok, output: "its words" });
  });

  test.each([
    [137, ""],
    [126, "OCI runtime exec failed: no space left on device"],
  ])("is none where it ends with %i: then it could not be run", async (exitCode, output) => {
    await expect(controlOf({ exitCode, output }).test()).rejects.toMatchObject({
      code: "engine_failed",
      message: expect.stringContaining(`exit code ${exitCode}${output === "" ? "" : `: ${output}`}`),
    });
  });
});

describe("whoever tests or reloads Nginx", () => {
  /** Begins, and never ends. */
  const silent: NginxDesk["ask"] = (_verb, signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

  test("does not wait for the engine once the platform has no time left", async () => {
    engine.onExec(() => {
      cutOff.abort();
      return new Promise(() => {});
    });
    await expect(makeControl(nobody).test()).rejects.toMatchObject({ name: "AbortError" });
  });

  test("does not wait for what goes on inside once the platform has no time left, nor longer than it may take", async () => {
    const control = makeControl(silent);
    const testing = control.test();
    cutOff.abort();
    await expect(testing).rejects.toBe(cutOff.signal.reason);
    cutOff = new AbortController();
    const limited = makeControl(silent, 20);
    await expect(limited.test()).rejects.toMatchObject({ code: "engine_failed", message: /within 20 ms/ });
  });

  test("tells once that nobody inside answers, and once that somebody does again", async () => {
    const told: unknown[] = [];
    const note = (...said: unknown[]) => void told.push(said[1]);
    const answers = [null, null, { exitCode: 0, output: "" }, { exitCode: 0, output: "" }];
    const control = makeControl(async () => answers.shift() ?? null, 60_000, { info: note, warn: note });
    for (let times = 1; times <= 4; times++) await control.reload();
    expect(told).toEqual([expect.stringContaining("through the engine"), expect.stringContaining("from inside again")]);
  });

  test.each([
    ["nobody inside answers", null],
    ["it is of no use inside", { exitCode: 1, output: "no such process" }],
  ])("has the engine send the signal where %s", async (_what, answer) => {
    const asked: DeskVerb[] = [];
    const control = makeControl(async (verb) => {
      asked.push(verb);
      return answer;
    });
    const signals = () => engine.calls.filter(({ method }) => method === "containers.kill").map(({ args }) => args[1]);
    await control.reload();
    expect(asked).toEqual(["reload"]);
    expect(signals()).toEqual(["SIGHUP"]);
    await makeControl(async () => ({ exitCode: 0, output: "" })).reload();
    expect(signals()).toEqual(["SIGHUP"]);
  });
});
