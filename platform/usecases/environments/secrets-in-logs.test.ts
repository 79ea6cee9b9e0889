import { expect, test } from "vitest";
import { useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

const SECRET = "hunter22-and-more";
/** As the engine cuts it, eight characters of the secret are in the first piece. */
const LONG = `${"y".repeat(65_528)}${SECRET} and on`;
const MASKED = [`${"y".repeat(65_528)}[redacted]`, " and on"];

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

/** An environment with secrets whose container writes, and what was shipped of it. */
async function setUp() {
  const secrets = { PASSWORD: SECRET, KEY: "first line\nsecond line\n" };
  const record = await platform.make({ secrets });
  const container = record.services[0]?.container ?? "";
  const texts = async () => {
    const lines = (await platform.logs.read(record.id, { lines: 1000 })) ?? [];
    return lines.map((line) => line.split(" ").slice(3).join(" "));
  };
  return {
    id: record.id,
    texts,
    write: (text: string) => platform.engine.writeLog(container, "stdout", text),
    shipped: (count: number) => waitUntil(`${count} lines`, async () => (await texts()).length >= count, 3_000, 5),
    stop: () => platform.shippers.stop(record.id),
    start: () => platform.shippers.start(record.id, "app"),
  };
}

test("a secret is masked when the engine cuts a line through it", async () => {
  const { texts, write, shipped } = await setUp();
  write(`before\n${LONG}\nafter\n`);
  await shipped(4);
  expect(await texts()).toEqual(["before", ...MASKED, "after"]);
});

test("every line of a secret is masked", async () => {
  const { texts, write, shipped } = await setUp();
  write("first line\nsecond line\n");
  await shipped(2);
  expect(await texts()).toEqual(["[redacted]", "[redacted]"]);
});

test("a secret is masked when shipping stops at the cut and resumes there", async () => {
  const { id, texts, write, shipped, stop, start } = await setUp();
  // A disk that takes the first piece and fails at the next one.
  const append = platform.logs.append;
  const failed = Promise.withResolvers<void>();
  platform.logs.append = async (env, lines) => {
    platform.logs.append = append;
    await append(env, lines.slice(0, 1));
    failed.resolve();
    throw new Error("the disk is gone");
  };
  write(`${LONG}\nafter\n`);
  await failed.promise;
  await stop();
  expect(await texts()).toEqual(MASKED.slice(0, 1));
  expect(platform.shippers.active(id)).toEqual([]);
  await start();
  await shipped(3);
  expect(await texts()).toEqual([...MASKED, "after"]);
});

test("a secret stays masked while shipping stops and starts, and no piece is lost or doubled", async () => {
  const { texts, write, shipped, stop, start } = await setUp();
  for (let round = 1; round <= 6; round++) {
    write(`${LONG}\n`);
    if (round % 2 === 0) await shipped(2 * round - 1);
    await stop();
    await start();
  }
  await shipped(12);
  expect(await texts()).toEqual(Array.from({ length: 6 }, () => MASKED).flat());
});
