import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "./support/temporary-folder.ts";
import { waitUntil } from "./support/wait-until.ts";

const SCRIPT = resolve(import.meta.dirname, "../../scripts/firewall/after-firewall.sh");
const THIS_BOOT = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
const WARNING = "Starting without a heartbeat from the firewall";

/** Runs the script with a command that prints "started"; `output` resolves with everything printed. */
function startAfterFirewall(state: string, seconds: number): { pid: number | undefined; output: Promise<string> } {
  const child = spawn("sh", [SCRIPT, state, String(seconds), "echo", "started"], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill());
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => void (output += chunk.toString()));
  return { pid: child.pid, output: once(child, "close").then(() => output) };
}

test.each(["0123456789abcdef", "failed"])(
  "after-firewall.sh runs its command at once when the heartbeat of this boot says %s",
  async (rules) => {
    const state = join(await temporaryFolder(), "state");
    await writeFile(state, `${THIS_BOOT} ${rules}\n`);
    expect(await startAfterFirewall(state, 0).output).toBe("started\n");
  },
);

test("after-firewall.sh waits for the heartbeat of this boot before it runs its command", async () => {
  const state = join(await temporaryFolder(), "state");
  await writeFile(state, "another-boot 0123456789abcdef\n");
  const { pid, output } = startAfterFirewall(state, 600);
  // The script has read the file, and sleeps.
  await waitUntil("a sleep", () => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
  await writeFile(state, `${THIS_BOOT} 0123456789abcdef\n`);
  expect(await output).toBe("started\n");
});

test.each([
  ["without a heartbeat", null],
  ["with a heartbeat of an earlier boot", "another-boot 0123456789abcdef\n"],
])("after-firewall.sh runs its command with a warning when its wait ends %s", async (_, content) => {
  const state = join(await temporaryFolder(), "state");
  if (content !== null) await writeFile(state, content);
  const output = await startAfterFirewall(state, 0).output;
  expect(output).toContain(WARNING);
  expect(output).toContain("started\n");
});
