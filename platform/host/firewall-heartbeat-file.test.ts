import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { createFirewallHeartbeat } from "./firewall-heartbeat-file.ts";

test("the last heartbeat is the file's content at the time of the file's last touch", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "state"), "boot-1 0123 ours\n");
  await utimes(join(folder, "state"), 1_000, 2_000);
  expect(await createFirewallHeartbeat(folder).lastHeartbeat()).toEqual({ state: "boot-1 0123 ours\n", at: 2_000_000 });
});

test("the last heartbeat is null when the file or its folder is absent", async () => {
  const folder = await temporaryFolder();
  expect(await createFirewallHeartbeat(folder).lastHeartbeat()).toBeNull();
  expect(await createFirewallHeartbeat(join(folder, "none")).lastHeartbeat()).toBeNull();
});

test("reading the last heartbeat fails when its file cannot be read", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "state"));
  await expect(createFirewallHeartbeat(folder).lastHeartbeat()).rejects.toThrow("EISDIR");
});
