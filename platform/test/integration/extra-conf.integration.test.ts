import { execFile } from "node:child_process";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { docker } from "../support/docker.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { createTestInstance } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const PROJECT = resolve(import.meta.dirname, "../../..");
const STAGE = '. "$1/scripts/lib/all.sh"; ROOT="$2"; LOG_FILE="$2/setup.log"; run_stage extra.d stage_extra_conf';

test("make up loads the files of extra.d that Nginx accepts, and names and leaves out one that it refuses", async () => {
  const instance = await createTestInstance();
  onTestFinished(() => instance.remove());
  const [root, nginx] = [await temporaryFolder(), `${instance.name}-nginx`];
  await cp(join(PROJECT, "nginx"), join(root, "nginx"), { recursive: true });
  await rm(join(root, "nginx/extra.d"), { recursive: true });
  await mkdir(join(root, "nginx/extra.d"));
  const put = (name: string, text: string) => writeFile(join(root, "nginx/extra.d", name), text);
  const server = (name: string) =>
    `server { listen ${instance.variables["NGINX_ADDRESS"]}:80; server_name ${name}; include extra.d/${name}.inc; }\n`;
  /** Runs the stage of `make up`; returns its output. */
  const stage = async () => {
    const env = { ...process.env, ...instance.variables };
    return (await promisify(execFile)("bash", ["-c", STAGE, "bash", PROJECT, root], { env })).stdout;
  };
  const answers = async (host: string, text: string) =>
    waitUntil(`${host} to answer`, async () => (await visit(instance, host)).text === text, 20_000);
  const startedAt = await docker("inspect", "-f", "{{.State.StartedAt}}", nginx);

  await put("good.localhost.inc", 'return 200 "good";');
  await put("good.conf", server("good.localhost"));
  await put("bad.conf", "server {\n");
  expect(await stage()).toMatch(/ok +extra\.d +1 in use; Nginx refuses bad\.conf: see logs\/setup\.log/);
  await answers("good.localhost", "good");
  await docker("exec", nginx, "nginx", "-t");

  await put("bad.conf", server("bad.localhost"));
  await put("bad.localhost.inc", 'return 200 "right";');
  expect(await stage()).toMatch(/ 2 in use +\d/);
  await answers("bad.localhost", "right");

  await rm(join(root, "nginx/extra.d/good.conf"));
  expect(await stage()).toMatch(/ 1 in use +\d/);
  await answers("good.localhost", "No environment found\n");
  expect(await docker("inspect", "-f", "{{.State.StartedAt}}", nginx)).toBe(startedAt);
});
