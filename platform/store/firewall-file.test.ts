import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { createFirewallFile } from "./firewall-file.ts";

test("the firewall's word is what is in its file, and as old as the last touch", async () => {
  const path = join(await temporaryFolder(), "state");
  await writeFile(path, "boot-1 0123 ours\n");
  await utimes(path, 1_000, 2_000);
  expect(await createFirewallFile(path).last()).toEqual({ said: "boot-1 0123 ours\n", at: 2_000_000 });
});

test("without its file, or the folder, the firewall has said nothing", async () => {
  expect(await createFirewallFile(join(await temporaryFolder(), "none", "state")).last()).toBeNull();
});

test("a file that cannot be read is an error, and no word", async () => {
  const path = join(await temporaryFolder(), "state");
  await mkdir(path);
  await expect(createFirewallFile(path).last()).rejects.toThrow("EISDIR");
});
