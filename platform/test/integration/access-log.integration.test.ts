import { afterAll, beforeAll, expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { docker } from "../support/docker.ts";
import { createTestInstance, type TestInstance } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const LOG = "/var/log/front-door/access.log";
const TEN_MEGABYTES = 10 * 2 ** 20;

/** The platform's containers without the API: every request is answered by Nginx itself. */
let instance: TestInstance;
beforeAll(async () => {
  instance = await createTestInstance();
  await waitUntil("Nginx", async () => (await getInternally("/up")).ok, 20_000);
});
afterAll(() => instance?.remove());

const inside = (script: string) => docker("exec", `${instance.name}-nginx`, "sh", "-c", script);
const getInternally = (path: string) => fetch(`http://${instance.variables["NGINX_ADDRESS"]}:8081${path}`);
const get = (path: string) => visit(instance, "unknown.localhost", path);
/** The matching lines of both files, the older first. */
const linesAbout = async (text: string) =>
  (await inside(`ls -r ${LOG}* | xargs grep -ahF '${text}' || true`)).split("\n").filter(Boolean);

test("every request and its answer is in the access log, except the platform's own", async () => {
  await getInternally("/not-for-the-log");
  await get("/lost?and=found");
  await waitUntil("the line", async () => (await linesAbout("/lost")).length > 0);
  expect(await linesAbout("/lost")).toEqual([
    expect.stringMatching(/^\S+T\S+ [\d.]+ unknown\.localhost "GET \/lost\?and=found HTTP\/1\.1" 404 \d+ /),
  ]);
  expect(await linesAbout("/not-for-the-log")).toEqual([]);
});

test("beyond 10 MB the access log begins anew, the former one is kept, and no request is missing in between", async () => {
  const sizes = async () => (await inside(`stat -c %s ${LOG}*`)).split("\n").map(Number);
  for (const round of [1, 2]) {
    const asked: string[] = [];
    await inside(`head -c ${TEN_MEGABYTES + 1024} /dev/zero >>${LOG}`);
    const isNew = async () => {
      const path = `/round-${round}/${asked.length}`;
      asked.push(path);
      await get(path);
      const [now = TEN_MEGABYTES, ...before] = await sizes();
      return now > 0 && now < TEN_MEGABYTES && before.length === 1;
    };
    await waitUntil("a new log with lines", isNew, 30_000, 20);
    await waitUntil("the last line", async () => (await linesAbout(`GET ${asked.at(-1)} `)).length === 1);
    const lines = await linesAbout(`GET /round-${round}/`);
    expect(lines.map((line) => /GET (\S+) /.exec(line)?.[1]).toSorted()).toEqual(asked.toSorted());
    expect((await sizes()).slice(1)).toEqual([expect.toSatisfy((size: number) => size > TEN_MEGABYTES)]);
  }
}, 90_000);
