import { expect, onTestFinished, test } from "vitest";
import type { LogLine, LogOptions, ServiceRef } from "../../workloads/workloads.ts";
import { createFakeLogStore } from "../../test/fakes/fake-log-store.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createLogShippers } from "./log-shippers.ts";

const ENV = "env-hello-mf3k2x9a";

const printed = (at: string, text: string): LogLine => ({
  timestamp: `2030-01-01T${at}:00.000000000Z`,
  stream: "stdout",
  text,
});

/** Ships the lines of a container at this time of the clock; returns the logs and their lines. */
async function shipAt(at: string, lines: LogLine[], logs = createFakeLogStore()) {
  async function* read(_ref: ServiceRef, { since = "", signal }: LogOptions) {
    yield lines.filter(({ timestamp }) => timestamp >= since);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }
  const shippers = createLogShippers({
    workloads: { logs: read },
    logs,
    logger: { info() {}, warn() {} },
    now: () => Date.parse(`2030-01-01T${at}:00Z`),
  });
  onTestFinished(() => shippers.stopAll());
  await shippers.start(ENV, "app");
  const shipped = async () => ((await logs.read(ENV, { lines: 100 })) ?? []).map((line) => line.split(" ").at(-1));
  const last = lines.at(-1)?.text ?? "";
  await waitUntil(`the line ${last}`, async () => (await shipped()).includes(last), 3_000, 5);
  await shippers.stopAll();
  return { logs, shipped: await shipped() };
}

const before = [printed("12:00", "one"), printed("12:20", "two")];
const after = [...before, printed("11:30", "three")];

test("lines that were printed after the clock was set back are shipped, although others are there twice", async () => {
  const { logs } = await shipAt("12:21", before);
  const { shipped } = await shipAt("11:31", after, logs);
  expect(shipped).toEqual(["one", "two", "one", "two", "three"]);
  const again = await shipAt("11:33", [...after, printed("11:32", "four")], logs);
  expect(again.shipped).toContain("four");
});

test("each line is shipped once while the clock goes on", async () => {
  const { logs } = await shipAt("12:21", before);
  const { shipped } = await shipAt("12:31", [...before, printed("12:30", "three")], logs);
  expect(shipped).toEqual(["one", "two", "three"]);
});
