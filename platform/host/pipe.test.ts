import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { open, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { openPipe, tellPipe } from "./pipe.ts";

async function makePipe(): Promise<string> {
  const path = join(await temporaryFolder(), "pipe");
  execFileSync("mkfifo", [path]);
  return path;
}

test("a line reaches whoever has the pipe open", async () => {
  const path = await makePipe();
  const reader = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  onTestFinished(() => reader.close());
  expect(tellPipe(path, "one")).toBe(true);
  expect((await reader.read(Buffer.alloc(16))).buffer.toString("utf8", 0, 4)).toBe("one\n");
});

test("nobody is told where nobody reads, where there is no pipe, and where it is full", async () => {
  const path = await makePipe();
  expect(tellPipe(path, "one")).toBe(false);
  expect(tellPipe(`${path}-none`, "one")).toBe(false);
  const deaf = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(deaf));
  const told = Array.from({ length: 40 }, () => tellPipe(path, "x".repeat(4096 - 1)));
  expect([told[0], told.at(-1)]).toEqual([true, false]);
});

test("a file or a link in the pipe's place is none, and is left as it is", async () => {
  const pipe = await makePipe();
  const folder = await temporaryFolder();
  const [file, link] = [join(folder, "file"), join(folder, "link")];
  await writeFile(file, "precious");
  await symlink(pipe, link);
  expect([tellPipe(file, "one"), tellPipe(link, "one")]).toEqual([false, false]);
  expect([openPipe(file, constants.O_RDONLY), openPipe(link, constants.O_RDONLY)]).toEqual([null, null]);
  expect(await readFile(file, "utf8")).toBe("precious");
});
