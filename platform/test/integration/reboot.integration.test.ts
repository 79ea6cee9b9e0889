import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { baseImages } from "../support/test-instance.ts";

const run = promisify(execFile);
const SCENARIO = resolve(import.meta.dirname, "../support/reboot.ts");

/** The daemon's own, processes included, so that none outlives the test. */
const NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

test("environments survive a restart of the Docker daemon and of the machine", async () => {
  const folder = await temporaryFolder();
  const images = ["sandbox-demo-app:latest", "sandbox-firewall:latest", ...Object.values(baseImages())];
  const { stdout } = await run("unshare", [...NAMESPACES, process.execPath, SCENARIO, folder, ...images], {
    timeout: 220_000,
    killSignal: "SIGKILL",
  });
  expect(stdout.trim().split("\n")).toEqual([
    "kept: without an engine reads go on, a create is refused and /healthz says why",
    "kept: once the engine is back, the platform and its environments are, by themselves",
    "kept: after a reboot the firewall's rules are back before the API is",
    "kept: after a reboot an environment is back at its URL with the lifetime it had left",
    "kept: after a reboot an outage that the reboot ended is on record as ended",
    "kept: after a reboot an environment that expired meanwhile is gone",
  ]);
}, 240_000);
