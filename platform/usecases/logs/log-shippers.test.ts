import { expect, onTestFinished, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import type { LogLine, LogOptions, ServiceRef } from "../../workloads/workloads.ts";
import { createFakeEngine, type FakeEngine } from "../../test/fakes/fake-engine.ts";
import { createFakeLogStore } from "../../test/fakes/fake-log-store.ts";
import type { LogStore } from "../../store/logs/log-store.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createLogShippers, createSkipper } from "./log-shippers.ts";

const ENV = "env-hello-mf3k2x9a";
const CONTAINER = `sandbox-${ENV}-app`;

const SILENT = { info: () => undefined, warn: () => undefined };

const line = (text: string): LogLine => ({ timestamp: "2030-01-01T00:00:00.000000000Z", stream: "stdout", text });

/** An empty line stamped so many nanoseconds after a fixed time. */
const at = (nanos: number, stream: LogLine["stream"] = "stdout"): LogLine => ({
  timestamp: `2030-01-01T00:00:00.00000000${nanos}Z`,
  stream,
  text: "",
});

/** A stream that an abort ends in the middle of a line. */
async function* cutOff(_: ServiceRef, { signal }: LogOptions): AsyncGenerator<LogLine[]> {
  yield [line("whole")];
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  yield [line("hal")];
}

/** The logs of the one container, whichever service is asked for; "never-there" has none. */
const loggingOf = (engine: FakeEngine) => ({
  logs: ({ service }: ServiceRef, options: LogOptions) =>
    engine.containers.logs(service === "never-there" ? service : CONTAINER, options),
});

/** A running container on a fake engine, shippers over a fake store, and what they logged. */
async function setUp() {
  const engine = createFakeEngine({ instance: "sandbox" });
  engine.addImage("demo:latest");
  await engine.networks.create({
    name: "sandbox-net",
    subnet: "10.172.0.0/28",
    gateway: "10.172.0.1",
    labels: { "sandbox.platform": "sandbox" },
    internal: false,
  });
  await engine.containers.create({
    name: CONTAINER,
    image: "demo:latest",
    labels: { "sandbox.platform": "sandbox", "sandbox.env": ENV, "sandbox.role": "app" },
    env: {},
    command: null,
    network: "sandbox-net",
    address: "10.172.0.3",
    aliases: [],
    resources: { memory_mb: 64, cpus: 1, pids: 64 },
  });
  await engine.containers.start(CONTAINER);
  const logs = createFakeLogStore();
  const told: string[] = [];
  const note = (...[, message]: unknown[]) => void told.push(String(message));
  const shippers = createLogShippers({
    workloads: loggingOf(engine),
    logs,
    logger: { info: note, warn: note },
    backoff: { first: 1, longest: 5 },
  });
  onTestFinished(() => shippers.stopAll());
  const shipped = async () =>
    (await logs.read(ENV, { lines: 100_000 }))?.map((line) => line.split(" ").slice(2).join(" ")) ?? [];
  const shippedSoon = (count: number) =>
    waitUntil(`${count} lines`, async () => (await shipped()).length >= count, 3_000, 5);
  return { engine, logs, shippers, told, shipped, shippedSoon };
}

test("lines from before and after the start are shipped in order, with stream and service", async () => {
  const { engine, logs, shippers, shipped, shippedSoon } = await setUp();
  engine.writeLog(CONTAINER, "stdout", "one\n\ntwo\n");
  await shippers.start(ENV, "app");
  await shippedSoon(3);
  engine.writeLog(CONTAINER, "stderr", "three\n");
  await shippedSoon(4);
  expect(await shipped()).toEqual(["stdout one", "stdout ", "stdout two", "stderr three"]);
  expect(await logs.read(ENV, { lines: 9, service: "app" })).toHaveLength(4);
  expect(shippers.active(ENV)).toEqual(["app"]);
  expect(shippers.active("env-other-1")).toEqual([]);
});

test("starting a shipper that runs already ships nothing twice", async () => {
  const { engine, shippers, shipped, shippedSoon } = await setUp();
  engine.writeLog(CONTAINER, "stdout", "one\n");
  await Promise.all([1, 2, 3].map(() => shippers.start(ENV, "app")));
  await shippedSoon(1);
  engine.writeLog(CONTAINER, "stdout", "two\n");
  await shippedSoon(2);
  engine.exit(CONTAINER, 0);
  await waitUntil("the end", () => shippers.active(ENV).length === 0, 3_000, 5);
  expect(await shipped()).toEqual(["stdout one", "stdout two"]);
});

test("a shipper ends with its container after the last line, and a new one ships the next run", async () => {
  const { engine, shippers, shipped, shippedSoon } = await setUp();
  await shippers.start(ENV, "app");
  engine.writeLog(CONTAINER, "stderr", "last words");
  engine.exit(CONTAINER, 1);
  await waitUntil("the end", () => shippers.active(ENV).length === 0, 3_000, 5);
  expect(await shipped()).toEqual(["stderr last words"]);
  await engine.containers.start(CONTAINER);
  await shippers.start(ENV, "app");
  engine.writeLog(CONTAINER, "stdout", "second run\n");
  await shippedSoon(2);
  expect(await shipped()).toEqual(["stderr last words", "stdout second run"]);
});

test("a start before the end of the former run was noticed ships the next run as well", async () => {
  const { engine, shippers, shipped, shippedSoon } = await setUp();
  await shippers.start(ENV, "app");
  engine.writeLog(CONTAINER, "stdout", "first run\n");
  await shippedSoon(1);
  engine.exit(CONTAINER, 137);
  const restarted = engine.containers.start(CONTAINER);
  await shippers.start(ENV, "app");
  await restarted;
  engine.writeLog(CONTAINER, "stdout", "second run\n");
  await shippedSoon(2);
  expect(await shipped()).toEqual(["stdout first run", "stdout second run"]);
  expect(shippers.active(ENV)).toEqual(["app"]);
});

/** Shippers that gather lines for so long, and the batches that they append. */
async function gathering(linger: number) {
  const { engine, logs, shipped, shippedSoon } = await setUp();
  const appends: number[] = [];
  const append: LogStore["append"] = async (id, lines) => {
    appends.push(lines.length);
    await logs.append(id, lines);
  };
  const shippers = createLogShippers({
    workloads: loggingOf(engine),
    logger: SILENT,
    logs: { ...logs, append },
    linger,
  });
  onTestFinished(() => shippers.stopAll());
  return { engine, shippers, appends, shipped, shippedSoon };
}

test("a first line is written at once, and the lines that follow soon are written together", async () => {
  const { engine, shippers, appends, shippedSoon } = await gathering(300);
  await shippers.start(ENV, "app");
  engine.writeLog(CONTAINER, "stdout", "0\n");
  await shippedSoon(1);
  for (let count = 1; count <= 20; count++) {
    engine.writeLog(CONTAINER, "stdout", `${count}\n`);
    await new Promise(setImmediate);
  }
  await shippedSoon(21);
  expect(appends).toEqual([1, 20]);
});

test("a flood of lines is written as it comes", async () => {
  const { engine, shippers, appends, shippedSoon } = await gathering(60_000);
  engine.writeLog(CONTAINER, "stdout", "line\n".repeat(10_000));
  await shippers.start(ENV, "app");
  await shippedSoon(10_000);
  expect(Math.max(...appends)).toBeLessThanOrEqual(256);
});

test("lines that are being gathered are written when shipping is stopped", async () => {
  const { engine, shippers, shipped, shippedSoon } = await gathering(60_000);
  await shippers.start(ENV, "app");
  engine.writeLog(CONTAINER, "stdout", "one\n");
  await shippedSoon(1);
  engine.writeLog(CONTAINER, "stdout", "two\nthree\n");
  await shippers.stop(ENV);
  expect(await shipped()).toEqual(["stdout one", "stdout two", "stdout three"]);
});

test("shipping stopped and started again and again loses nothing and repeats nothing", async () => {
  const { engine, shippers, shipped, shippedSoon } = await setUp();
  let written = 0;
  const write = () => engine.writeLog(CONTAINER, written % 3 === 0 ? "stderr" : "stdout", `line ${written++}\n`);
  for (let round = 0; round < 30; round++) {
    for (let count = 0; count < 20; count++) write();
    await shippers.start(ENV, "app");
    write();
    if (round % 2 === 0) await shippedSoon(written - 10);
    await shippers.stop(ENV);
    write();
  }
  await shippers.start(ENV, "app");
  await shippedSoon(written);
  expect((await shipped()).map((line) => line.split(" ")[2])).toEqual(
    Array.from({ length: written }, (_, index) => String(index)),
  );
});

test("an engine that is away is logged once, and shipping goes on without a gap or a double", async () => {
  const { engine, shippers, told, shipped, shippedSoon } = await setUp();
  engine.writeLog(CONTAINER, "stdout", "one\n");
  await shippers.start(ENV, "app");
  await shippedSoon(1);
  engine.setAvailable(false);
  engine.writeLog(CONTAINER, "stdout", "two\n");
  const tries = () => engine.calls.filter(({ method }) => method === "containers.logs").length;
  await waitUntil("some tries", () => tries() > 5, 3_000, 5);
  engine.setAvailable(true);
  engine.writeLog(CONTAINER, "stdout", "three\n");
  await shippedSoon(3);
  expect(await shipped()).toEqual(["stdout one", "stdout two", "stdout three"]);
  expect(told).toEqual(["log shipping interrupted; trying again, nothing is lost meanwhile", "log shipping goes on"]);
  expect(shippers.active(ENV)).toEqual(["app"]);
});

test("a full disk is logged once and loses no line", async () => {
  const { engine, logs, shippers, told, shipped, shippedSoon } = await setUp();
  engine.writeLog(CONTAINER, "stdout", "one\n");
  await shippers.start(ENV, "app");
  await shippedSoon(1);
  logs.failNextWrites(4);
  engine.writeLog(CONTAINER, "stdout", "two\nthree\n");
  engine.writeLog(CONTAINER, "stdout", "four\n");
  await shippedSoon(4);
  expect(await shipped()).toEqual(["stdout one", "stdout two", "stdout three", "stdout four"]);
  expect(told).toHaveLength(2);
});

test("a container that is gone ends its shipper, and nothing is logged", async () => {
  const { engine, shippers, told } = await setUp();
  await shippers.start(ENV, "app");
  engine.removeBehindOurBack(CONTAINER);
  await waitUntil("the end", () => shippers.active(ENV).length === 0, 3_000, 5);
  await shippers.start(ENV, "never-there");
  await waitUntil("the end", () => shippers.active(ENV).length === 0, 3_000, 5);
  expect(told).toEqual([]);
});

test("the archiving of logs ends their shipper", async () => {
  const { engine, logs, shippers, shipped, shippedSoon } = await setUp();
  await shippers.start(ENV, "app");
  engine.writeLog(CONTAINER, "stdout", "one\n");
  await shippedSoon(1);
  await logs.archive(ENV);
  engine.writeLog(CONTAINER, "stdout", "two\n");
  await waitUntil("the end", () => shippers.active(ENV).length === 0, 3_000, 5);
  expect(await shipped()).toEqual(["stdout one"]);
});

test("nothing is appended once stop has resolved, however fast the container writes", async () => {
  const { engine, logs, shippers, shipped } = await setUp();
  let appending = 0;
  const append: LogStore["append"] = async (id, lines) => {
    appending++;
    await new Promise((resolve) => setTimeout(resolve, 5));
    await logs.append(id, lines);
    appending--;
  };
  const slow = createLogShippers({ workloads: loggingOf(engine), logger: SILENT, logs: { ...logs, append } });
  engine.writeLog(CONTAINER, "stdout", "line\n".repeat(10_000));
  await slow.start(ENV, "app");
  await waitUntil("an append", () => appending === 1, 3_000, 1);
  await slow.stop(ENV);
  expect(appending).toBe(0);
  const count = (await shipped()).length;
  expect(count).toBeLessThan(10_000);
  engine.writeLog(CONTAINER, "stdout", "more\n");
  await new Promise(setImmediate);
  expect(await shipped()).toHaveLength(count);
  expect(slow.active(ENV)).toEqual([]);
  await shippers.start(ENV, "app");
  await waitUntil("the rest", async () => (await shipped()).length === 10_001, 3_000, 5);
});

test("a start during a stop waits for it instead of shipping beside it", async () => {
  const { engine, shippers, shipped, shippedSoon } = await setUp();
  engine.writeLog(CONTAINER, "stdout", "line\n".repeat(2000));
  for (let round = 0; round < 10; round++)
    await Promise.all([shippers.start(ENV, "app"), shippers.stop(ENV), shippers.start(ENV, "app")]);
  await shippedSoon(2000);
  engine.exit(CONTAINER, 0);
  await waitUntil("the end", () => shippers.active(ENV).length === 0, 3_000, 5);
  expect(await shipped()).toHaveLength(2000);
});

test("stopping one environment leaves the others' shippers alone, and stopAll leaves none", async () => {
  const { engine, shippers } = await setUp();
  await shippers.start(ENV, "app");
  await shippers.start("env-other-1", "app");
  await shippers.start("env-other-1", "db");
  await shippers.stop(ENV);
  expect(shippers.active(ENV)).toEqual([]);
  expect(shippers.active("env-other-1").sort()).toEqual(["app", "db"]);
  await shippers.stopAll();
  expect(shippers.active("env-other-1")).toEqual([]);
  expect(engine.calls.filter(({ method }) => method === "containers.logs")).toHaveLength(3);
});

test("the end of an aborted stream, which may be half a line, is not shipped", async () => {
  const { logs } = await setUp();
  const shippers = createLogShippers({
    workloads: { logs: cutOff },
    logs,
    logger: SILENT,
  });
  await shippers.start(ENV, "app");
  await waitUntil("the whole line", async () => (await logs.read(ENV, { lines: 9 }))?.length === 1, 3_000, 5);
  await shippers.stopAll();
  expect(await logs.read(ENV, { lines: 9 })).toHaveLength(1);
});

test("shipping is tried again after an error that is not the platform's own", async () => {
  const { engine, shippers, shipped, shippedSoon } = await setUp();
  engine.failNext("containers.logs", new TypeError("surprise"), 2);
  engine.failNext("containers.logs", new PlatformError("engine_failed", "no"), 2);
  engine.writeLog(CONTAINER, "stdout", "one\n");
  await shippers.start(ENV, "app");
  await shippedSoon(1);
  expect(await shipped()).toEqual(["stdout one"]);
});

test("the skipper passes the new lines of each stream, and counts the lines of the last timestamp", () => {
  const streams = {
    stdout: { timestamp: at(5).timestamp, count: 2 },
    stderr: { timestamp: at(3).timestamp, count: 1 },
  };
  const replay = [at(2), at(5), at(3, "stderr"), at(5), at(4, "stderr"), at(5), at(6), at(3, "stderr")];
  expect(replay.map(createSkipper({ since: "", streams }))).toEqual([
    false,
    false,
    false,
    false,
    true,
    true,
    true,
    true,
  ]);
  expect([at(1), at(1, "stderr")].map(createSkipper({ since: "", streams: { stdout: streams.stdout } }))).toEqual([
    false,
    true,
  ]);
  expect([at(1)].map(createSkipper(null))).toEqual([true]);
});
