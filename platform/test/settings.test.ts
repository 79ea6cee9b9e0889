import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryFolder } from "./support/temporary-folder.ts";

const run = promisify(execFile);
const SCRIPT = resolve(import.meta.dirname, "../../scripts/lib/settings.sh");

/** What the scripts make of these settings, in a checkout that has none of its own, for one variable. */
async function settingOf(name: string, settings: Record<string, string>): Promise<string> {
  const ROOT = await temporaryFolder();
  const env = { PATH: process.env["PATH"], ROOT, CACHE_DIR: ROOT, ...settings };
  const { stdout } = await run("bash", ["-euc", '. "$1"; load_settings; printf %s "${!2}"', "bash", SCRIPT, name], {
    env,
  });
  return stdout;
}

test.each([{}, { NGINX_BIND: "127.0.0.2" }, { NGINX_BIND: "::1" }])(
  "Nginx, asked by this machine alone (%j), has no congestion to control",
  async (settings) => {
    expect(await settingOf("NGINX_CONGESTION_CONTROL", settings)).toBe("reno");
  },
);

test.each(["0.0.0.0", "::", "10.0.0.1"])("Nginx on %s sends as the machine does", async (NGINX_BIND) => {
  const own = await readFile("/proc/sys/net/ipv4/tcp_congestion_control", "utf8");
  expect(await settingOf("NGINX_CONGESTION_CONTROL", { NGINX_BIND })).toBe(own.trim());
});
