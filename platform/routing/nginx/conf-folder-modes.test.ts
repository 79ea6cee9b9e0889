import { execFile } from "node:child_process";
import { chmod, mkdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { ENABLED_FOLDER, openConfFolder } from "./conf-folder.ts";

const run = promisify(execFile);
const MODULE = resolve(import.meta.dirname, "conf-folder.ts");

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o7777).toString(8);

test("a folder that a strict umask has made is opened to Nginx's workers, and an open one stays as it is", async () => {
  const path = await temporaryFolder();
  const flags = join(path, ENABLED_FOLDER);
  await mkdir(flags);
  for (const folder of [path, flags]) await chmod(folder, 0o700);
  openConfFolder(path);
  expect([await modeOf(path), await modeOf(flags)]).toEqual(["755", "755"]);
  for (const folder of [path, flags]) await chmod(folder, 0o2775);
  openConfFolder(path);
  expect([await modeOf(path), await modeOf(flags)]).toEqual(["2775", "2775"]);
});

test("a folder that is made under a strict umask is open to Nginx's workers", async () => {
  const path = join(await temporaryFolder(), "conf.d");
  // A umask is its whole process's.
  const script = `process.umask(0o077);
    const { flagOf, openConfFolder } = await import(process.argv[1]);
    await openConfFolder(process.argv[2]).touch(flagOf("env-a"));`;
  await run(process.execPath, ["--input-type=module", "-e", script, MODULE, path]);
  expect([await modeOf(path), await modeOf(join(path, ENABLED_FOLDER))]).toEqual(["755", "755"]);
});
