import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startNginxContainer, type NginxContainer } from "../support/nginx-container.ts";

const run = promisify(execFile);

/** Docker writes a container's /etc/hosts anew each time. */
const MOVES = 30;
const ROUTES = 60;

let nginx: NginxContainer;

beforeAll(async () => {
  nginx = await startNginxContainer();
});
afterAll(() => nginx?.dispose());

test("Nginx takes its configuration while its container joins and leaves networks", async () => {
  const { control, environments, instance } = nginx;
  const router = nginx.makeRouter();
  const ids = Array.from({ length: ROUTES }, (_, index) => `env-hosts-${index}`);
  await Promise.all(
    ids.map((id) => router.upsert({ id, host: `${id}.localhost`, address: nginx.gateway, port: 3000 })),
  );

  const ended = new AbortController();
  const moving = (async () => {
    for (let move = 0; move < MOVES; move++) {
      await run("docker", ["network", "disconnect", "-f", environments.network, `${instance}-nginx`]);
      await run("docker", ["network", "connect", environments.network, `${instance}-nginx`]);
    }
  })().finally(() => ended.abort());
  const refusals: string[] = [];
  while (!ended.signal.aborted) {
    const { ok, output } = await control.test();
    if (!ok) refusals.push(output);
  }
  await moving;
  expect(refusals).toEqual([]);
}, 120_000);
