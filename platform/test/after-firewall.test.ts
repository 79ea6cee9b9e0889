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
const COMPLAINT = "Starting without word from the firewall";

/** Runs the script with a command that prints "started"; `output` resolves with all that was printed. */
function startAfterFirewall(state: string, seconds: number): { pid: number | undefined; output: Promise<string> } {
  const child = spawn("sh", [SCRIPT, state, String(seconds), "echo", "started"], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill());
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => void (output += chunk.toString()));
  return { pid: child.pid, output: once(child, "close").then(() => output) };
}

test.each(["0123456789abcdef", "failed"])(
  "what comes after the firewall starts at once when it said %s",
  async (word) => {
    const state = join(await temporaryFolder(), "state");
    await writeFile(state, `${THIS_BOOT} ${word}\n`);
    expect(await startAfterFirewall(state, 0).output).toBe("started\n");
  },
);

test("what comes after the firewall waits for its word", async () => {
  const state = join(await temporaryFolder(), "state");
  await writeFile(state, "another-boot 0123456789abcdef\n");
  const { pid, output } = startAfterFirewall(state, 600);
  // It has looked, and sleeps.
  await waitUntil("a sleep", () => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
  await writeFile(state, `${THIS_BOOT} 0123456789abcdef\n`);
  expect(await output).toBe("started\n");
});

test.each([
  ["nothing", null],
  ["what it said before the last boot", "another-boot 0123456789abcdef\n"],
])("what comes after the firewall starts in the end although there is %s", async (_, content) => {
  const state = join(await temporaryFolder(), "state");
  if (content !== null) await writeFile(state, content);
  const output = await startAfterFirewall(state, 0).output;
  expect(output).toContain(COMPLAINT);
  expect(output).toContain("started\n");
});
