import { randomInt } from "node:crypto";
import { appendFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createDockerEngine } from "../../workloads/docker/docker-engine.ts";
import type { Engine } from "../../workloads/docker/engine.ts";
import { createDiskLogStore } from "../../store/logs/disk-log-store.ts";
import type { LogStore } from "../../store/logs/log-store.ts";
import { createLogShippers, type LogShippers } from "../../usecases/logs/log-shippers.ts";
import { DOCKER_SOCKET, removeTestObjects, runContainer, testInstanceName } from "../support/docker.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { waitUntil } from "../support/wait-until.ts";

const ENV = "env-ship-mf3k2x9a";
const MIB = 1024 * 1024;

/** A script that prints numbered lines on both streams, a binary line after each thousand, and an unfinished line. */
const PRINT = (lines: number) => `
  const fs = require("node:fs");
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 10));
  const write = (fd, data) => { for (let at = 0; at < data.length; ) try { at += fs.writeSync(fd, data, at); } catch (error) { if (error.code !== "EAGAIN") throw error; } };
  for (let number = 0; number < ${lines}; number += 10) {
    for (const [fd, name] of [[1, "out"], [2, "err"]]) {
      const texts = Array.from({ length: 10 }, (_, index) => name + " " + (number + index) + "\\n");
      write(fd, Buffer.concat([Buffer.from(texts.join("")), ...(number % 1000 === 0 ? [Buffer.from("bin " + name + " "), bytes, Buffer.from("\\n")] : [])]));
    }
  }
  write(1, Buffer.from("half a line"));
`;

/** A container on the real engine, which is removed when the test ends. */
async function start(command: string[]): Promise<{ engine: Engine; container: string }> {
  const instance = testInstanceName();
  const engine = createDockerEngine({ socketPath: DOCKER_SOCKET, instance, timeoutMs: 60_000 });
  onTestFinished(() => removeTestObjects(instance));
  return { engine, container: (await runContainer(engine, instance, command)).name };
}

/** Every line of app.log and its rotated files, oldest first: more than one answer of the API would hold. */
async function linesOnDisk(folder: string): Promise<string[]> {
  const files = (await readdir(folder)).filter((name) => name.startsWith("app.log")).toSorted();
  const texts = await Promise.all(files.toReversed().map((name) => readFile(join(folder, name), "utf8")));
  return texts.join("").split("\n").slice(0, -1); // without a line end it is no line yet
}

/** The log store and the shippers of a platform that starts; `appended` counts shipped lines. */
function openPlatform(
  { engine, container }: { engine: Engine; container: string },
  folder: string,
  maxSize: number,
): { logs: LogStore; shippers: LogShippers; appended(): number } {
  const logs = createDiskLogStore({ folder, maxSize });
  let count = 0;
  const counting: Pick<LogStore, "append" | "resumePoint"> = {
    resumePoint: logs.resumePoint,
    async append(id, lines) {
      await logs.append(id, lines);
      count += lines.length;
    },
  };
  const shippers = createLogShippers({
    workloads: { logs: (_ref, options) => engine.containers.logs(container, options) },
    logs: counting,
    logger: { info: () => undefined, warn: () => undefined },
  });
  onTestFinished(async () => {
    await shippers.stopAll();
    await logs.close();
  });
  return { logs, shippers, appended: () => count };
}

/** Returns the most by which this process has grown since now, in bytes. */
function watchMemory(): () => number {
  const before = process.memoryUsage().rss;
  let peak = before;
  const timer = setInterval(() => void (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  onTestFinished(() => clearInterval(timer));
  return () => peak - before;
}

test("100,000 lines on both streams and binary arrive once each and in order while the platform is restarted again and again", {
  timeout: 300_000,
}, async () => {
  const lines = 50_000;
  const folder = join(await temporaryFolder(), "logs");
  const { engine, container } = await start(["node", "-e", PRINT(lines)]);
  const grown = watchMemory();

  let restarts = 0;
  for (let isOver = false; !isOver; restarts++) {
    const { logs, shippers, appended } = openPlatform({ engine, container }, folder, 3 * MIB);
    const enough = 1 + randomInt(15_000);
    await shippers.start(ENV, "app");
    await waitUntil(
      "some lines or the end",
      () => appended() >= enough || shippers.active(ENV).length === 0,
      60_000,
      1,
    );
    isOver = shippers.active(ENV).length === 0;
    await shippers.stop(ENV);
    await logs.close();
    // A platform that is killed during a write leaves half a line.
    if (restarts % 2 === 0) await appendFile(join(folder, ENV, "app.log"), "2030-01-01T00:00:00.000000000Z app std");
  }
  expect(restarts).toBeGreaterThan(5);
  expect(grown()).toBeLessThan(150 * MIB);
  expect((await readdir(join(folder, ENV))).length).toBeGreaterThan(1);

  const texts = (await linesOnDisk(join(folder, ENV))).map((line) => line.slice(line.indexOf(" std") + 1));
  const numbers = Array.from({ length: lines }, (_, index) => index);
  const binary = Buffer.from(numbers.slice(0, 256).filter((byte) => byte !== 10)).toString();
  for (const [stream, name] of [
    ["stdout", "out"],
    ["stderr", "err"],
  ] as const) {
    const own = texts.filter((text) => text.startsWith(`${stream} ${name} `)).map((text) => Number(text.split(" ")[2]));
    expect(own.length).toBe(lines);
    expect(own.every((number, index) => number === index)).toBe(true);
    const binaries = texts.filter((text) => text.startsWith(`${stream} bin `));
    expect(binaries).toHaveLength(lines / 1000);
    expect(new Set(binaries)).toEqual(new Set([`${stream} bin ${name} ${binary}`]));
  }
  expect(texts.filter((text) => text === "stdout half a line")).toHaveLength(1);
  expect(texts).toHaveLength(2 * (lines + lines / 1000) + 1);
});

test("a million empty lines cost bounded memory, while a follower and readers get lines", {
  timeout: 300_000,
}, async () => {
  const folder = join(await temporaryFolder(), "logs");
  const { engine, container } = await start(["sh", "-c", "yes '' | head -n 1000000"]);
  const { logs, shippers, appended } = openPlatform({ engine, container }, folder, MIB);
  const grown = watchMemory();
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  let followed = 0;
  const following = (async () => {
    for await (const _ of logs.follow(ENV, { service: "app" }, stop.signal)) followed++;
  })();
  await shippers.start(ENV, "app");
  await waitUntil(
    "the end of the container",
    async () => {
      expect((await logs.read(ENV, { lines: 10 }))?.length ?? 0).toBeLessThanOrEqual(10);
      return shippers.active(ENV).length === 0;
    },
    240_000,
    100,
  );
  // A follower that cannot keep up skips, and ends with the newest line all the same.
  await logs.archive(ENV);
  await following;
  // The container writes faster than the engine reads its log, which is bounded and drops lines.
  expect(appended()).toBeGreaterThan(100_000);
  expect(followed).toBeGreaterThan(20_000);
  expect(grown()).toBeLessThan(150 * MIB);
});

test("the last lines of a killed container are shipped, and so is its next run", async () => {
  const folder = join(await temporaryFolder(), "logs");
  const { engine, container } = await start(["sh", "-c", "echo begin; sleep 1000"]);
  const { logs, shippers } = openPlatform({ engine, container }, folder, MIB);
  const texts = async () => (await logs.read(ENV, { lines: 100 }))?.map((line) => line.split(" ").slice(3).join(" "));
  await shippers.start(ENV, "app");
  await waitUntil("the first run", async () => (await texts())?.length === 1, 10_000, 20);
  await engine.containers.kill(container, "SIGKILL");
  await engine.containers.start(container);
  await shippers.start(ENV, "app");
  await waitUntil("the second run", async () => (await texts())?.length === 2, 10_000, 20);
  expect(await texts()).toEqual(["begin", "begin"]);
  expect(shippers.active(ENV)).toEqual(["app"]);
  await engine.containers.remove(container);
  await waitUntil("the end", () => shippers.active(ENV).length === 0, 10_000, 20);
});
