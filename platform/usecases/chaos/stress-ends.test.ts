import { beforeEach, describe, expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { containerOf, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
/** Whether stress-ng runs, which shows in no state of a container. */
let stressed: boolean;

useFakePlatform((fresh) => (platform = fresh));

beforeEach(() => {
  stressed = false;
  platform.engine.onExec((command) => {
    stressed = command.includes("--timeout");
    return { exitCode: 0, output: "" };
  });
});

const outageOf = (id: string) => platform.environments.get(id)?.outage ?? null;
const away = () => new PlatformError("engine_unavailable", "no answer in 30 s");

/** The engine starts the stress, and its answer is lost. */
function loseTheAnswer(): void {
  const { execDetached } = platform.engine.containers;
  platform.engine.containers.execDetached = async (...asked) => {
    await execDetached(...asked);
    throw away();
  };
}

test("recover stops stress before the outage is off the record", async () => {
  const { id } = await platform.make({});
  await platform.injectOutage(id, { mode: "stress", duration: 3600 });
  const { save } = platform.environments;
  const atSave: boolean[] = [];
  platform.environments.save = async (record) => {
    if (record.outage === null) atSave.push(stressed);
    await save(record);
  };
  await platform.recover(id);
  expect(atSave).toEqual([false]);
  expect(outageOf(id)).toBeNull();
});

test("stress that cannot be stopped stays on record", async () => {
  const { id } = await platform.make({});
  await platform.injectOutage(id, { mode: "stress", duration: 3600 });
  platform.engine.failNext("containers.exec", away());
  await expect(platform.recover(id)).rejects.toMatchObject({ code: "engine_unavailable" });
  expect(outageOf(id)).toMatchObject({ mode: "stress" });
});

test("stress that began although the engine's answer was lost is stopped before the outage is called off", async () => {
  const { id } = await platform.make({});
  loseTheAnswer();
  await expect(platform.injectOutage(id, { mode: "stress" })).rejects.toMatchObject({ code: "engine_unavailable" });
  expect({ stressed, outage: outageOf(id) }).toEqual({ stressed: false, outage: null });
});

test("stress that may have begun and cannot be stopped stays on record until it ends", async () => {
  const { id } = await platform.make({});
  loseTheAnswer();
  platform.engine.failNext("containers.exec", away());
  await expect(platform.injectOutage(id, { mode: "stress" })).rejects.toMatchObject({ code: "engine_unavailable" });
  expect({ stressed, outage: outageOf(id) }).toMatchObject({ stressed: true, outage: { mode: "stress" } });
});

describe("stress that the container refuses to stop", () => {
  /** What the engine answers when the container is at its limit of processes. */
  const CANNOT_FORK = { exitCode: 126, output: "starting\nOCI runtime exec failed: cannot fork\n" };
  let canStop: boolean;

  beforeEach(() => {
    canStop = false;
    platform.engine.onExec((command) => {
      const begins = command.includes("--timeout");
      if (!begins && !canStop) return CANNOT_FORK;
      stressed = begins;
      return { exitCode: 0, output: "" };
    });
  });

  async function stressedEnvironment(): Promise<string> {
    const { id } = await platform.make({});
    await platform.injectOutage(id, { mode: "stress", duration: 1 });
    return id;
  }

  test("stays on record, and the error quotes the last line of the output", async () => {
    const id = await stressedEnvironment();
    await expect(platform.recover(id)).rejects.toMatchObject({
      code: "engine_failed",
      message: expect.stringMatching(/exit code 126: OCI runtime exec failed: cannot fork\./),
    });
    expect({ stressed, outage: outageOf(id) }).toMatchObject({ stressed: true, outage: { mode: "stress" } });
    canStop = true;
    await platform.recover(id);
    expect({ stressed, outage: outageOf(id) }).toEqual({ stressed: false, outage: null });
  });

  test("is reported by a halt", async () => {
    const id = await stressedEnvironment();
    expect(await platform.halt()).toMatchObject({ recovered: [], failed: [{ id, code: "engine_failed" }] });
  });

  test("is stopped by a later try when the outage is over", async () => {
    const id = await stressedEnvironment();
    platform.clock.advance(1_000);
    await platform.endOutages();
    expect(outageOf(id)).toMatchObject({ mode: "stress" });
    canStop = true;
    platform.clock.advance(1_000);
    await platform.endOutages();
    expect({ stressed, outage: outageOf(id) }).toEqual({ stressed: false, outage: null });
  });

  test("does not keep the environment from being destroyed", async () => {
    const id = await stressedEnvironment();
    await platform.destroy(id);
    expect(platform.environments.get(id)).toBeNull();
  });

  test("is over once the container has ended", async () => {
    const id = await stressedEnvironment();
    platform.engine.exit(containerOf(id), 137);
    await platform.recover(id);
    expect(outageOf(id)).toBeNull();
  });
});

describe("in a container without the tools", () => {
  /** A container that was made anew has no tools until they are copied. */
  function loseTheTools(): void {
    const { copyFromImage } = platform.engine.containers;
    let hasTools = false;
    platform.engine.containers.copyFromImage = async (...asked) => {
      await copyFromImage(...asked);
      hasTools = true;
    };
    platform.engine.onExec(() => (hasTools ? { exitCode: 0, output: "" } : { exitCode: 127, output: "no such file" }));
  }

  test("recover copies the tools and finds no stress", async () => {
    const { id } = await platform.make({});
    await platform.injectOutage(id, { mode: "stress" });
    loseTheTools();
    await platform.recover(id);
    expect(outageOf(id)).toBeNull();
  });

  test("stress is refused before it is on record when the tools cannot be copied", async () => {
    const { id } = await platform.make({});
    loseTheTools();
    platform.engine.failNext("containers.copyFromImage", new PlatformError("image_not_found", "no such image"), 2);
    await expect(platform.injectOutage(id, { mode: "stress" })).rejects.toMatchObject({ code: "image_not_found" });
    expect(outageOf(id)).toBeNull();
  });
});
