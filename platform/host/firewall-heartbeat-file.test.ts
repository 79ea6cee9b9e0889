import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readFile, symlink, utimes, writeFile } from "node:fs/promises";
import { constants } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { createFirewallFolder } from "./firewall-heartbeat-file.ts";

test("the firewall's word is what is in its file, and as old as the last touch", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "state"), "boot-1 0123 ours\n");
  await utimes(join(folder, "state"), 1_000, 2_000);
  expect(await createFirewallFolder(folder).last()).toEqual({ state: "boot-1 0123 ours\n", at: 2_000_000 });
});

test("without its file, or the folder, the firewall has said nothing", async () => {
  const folder = await temporaryFolder();
  expect(await createFirewallFolder(folder).last()).toBeNull();
  expect(await createFirewallFolder(join(folder, "none")).last()).toBeNull();
});

test("a file that cannot be read is an error, and no word", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "state"));
  await expect(createFirewallFolder(folder).last()).rejects.toThrow("EISDIR");
});

describe("rules that are to be dropped", () => {
  test("are a line in the pipe for each bridge", async () => {
    const { folder, pipe } = await folderWithPipe();
    const reader = spawn("head", ["-n", "2", pipe], { stdio: ["ignore", "pipe", "ignore"] });
    onTestFinished(() => void reader.kill());
    const ended = once(reader, "close");
    let read = "";
    reader.stdout.on("data", (chunk: Buffer) => void (read += chunk.toString()));
    // Opened by the reader, and held open here, so that it is not at its end after the first.
    const held = await open(pipe, constants.O_WRONLY);
    onTestFinished(() => held.close());
    const firewall = createFirewallFolder(folder);
    await firewall.dropRules("br-0123456789ab");
    await firewall.dropRules("br-ba9876543210");
    await ended;
    expect(read).toBe("br-0123456789ab\nbr-ba9876543210\n");
  });

  test("are left to the engine, at once, where nobody listens or nobody ever did", async () => {
    const { folder } = await folderWithPipe();
    for (const place of [folder, await temporaryFolder()])
      await expect(createFirewallFolder(place).dropRules("br-0123456789ab")).resolves.toBeUndefined();
  });

  test.each<[string, (path: string) => Promise<void>]>([
    ["a file", (path) => writeFile(path, "precious")],
    ["a link to a file", (path) => symlink("mine", path)],
  ])("are left to the engine, and %s in the pipe's place as it is", async (_what, put) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "mine"), "precious");
    await put(join(folder, "leaving"));
    await createFirewallFolder(folder).dropRules("br-0123456789ab");
    expect(await readFile(join(folder, "leaving"), "utf8")).toBe("precious");
  });

  test("are left to the engine, at once, where the firewall has stopped reading", async () => {
    const { folder, pipe } = await folderWithPipe();
    const deaf = await open(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    onTestFinished(() => deaf.close());
    const fill = Buffer.alloc(4096, "x");
    await expect(
      (async () => {
        for (;;) await deaf.write(fill);
      })(),
    ).rejects.toThrow("EAGAIN");
    await expect(createFirewallFolder(folder).dropRules("br-0123456789ab")).resolves.toBeUndefined();
  });
});

async function folderWithPipe(): Promise<{ folder: string; pipe: string }> {
  const folder = await temporaryFolder();
  const pipe = join(folder, "leaving");
  execFileSync("mkfifo", [pipe]);
  return { folder, pipe };
}
