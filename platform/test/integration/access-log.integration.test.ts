import { expect, onTestFinished, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { docker } from "../support/docker.ts";
import { createTestInstance } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const LOG = "/var/log/front-door/access.log";
const TEN_MEGABYTES = 10 * 2 ** 20;

/** A front door as `make up` starts it, without anything behind it. */
async function startFrontDoor() {
  const instance = await createTestInstance();
  onTestFinished(() => instance.remove());
  const inside = (...command: string[]) => docker("exec", `${instance.name}-nginx`, ...command);
  return {
    inside,
    get: (path: string) => visit(instance, "nobody.localhost", path),
    getInternally: (path: string) => fetch(`http://${instance.variables["NGINX_ADDRESS"]}:8081${path}`),
    linesAbout: async (words: string) => (await inside("cat", LOG)).split("\n").filter((line) => line.includes(words)),
  };
}

test("every request and its answer is in the access log; what the platform asks itself is not", async () => {
  const { get, getInternally, linesAbout } = await startFrontDoor();
  await getInternally("/not-for-the-log");
  await get("/lost?and=found");
  await waitUntil("the line", async () => (await linesAbout("/lost")).length > 0);
  expect(await linesAbout("/lost")).toEqual([
    expect.stringMatching(/^\S+T\S+ [\d.]+ nobody\.localhost "GET \/lost\?and=found HTTP\/1\.1" 404 \d+ /),
  ]);
  expect(await linesAbout("/not-for-the-log")).toEqual([]);
});

test("of the access log there are 10 MB and as many that were before, and no line is lost in between", async () => {
  const { get, inside, linesAbout } = await startFrontDoor();
  const sizes = async () => (await inside("sh", "-c", `stat -c %s ${LOG}*`)).split("\n").map(Number);
  for (const round of ["first", "second"]) {
    await inside("sh", "-c", `head -c ${TEN_MEGABYTES + 1024} /dev/zero >>${LOG}`);
    await waitUntil("a new log", async () => ((await sizes())[0] ?? TEN_MEGABYTES) < TEN_MEGABYTES, 30_000);
    await get(`/after-the-${round}`);
    await waitUntil("the line", async () => (await linesAbout(`/after-the-${round}`)).length === 1);
    expect((await sizes()).slice(1)).toEqual([expect.toSatisfy((size: number) => size > TEN_MEGABYTES)]);
  }
}, 90_000);
