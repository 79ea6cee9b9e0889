import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { createFailpoint } from "./failpoint.ts";

const kill = vi.spyOn(process, "kill").mockReturnValue(true);

afterEach(() => void kill.mockClear());

test("without a file nothing ever happens", () => {
  createFailpoint(undefined)("before:start-container");
  expect(kill).not.toHaveBeenCalled();
});

test("the process kills itself at the boundary the file names, once", async () => {
  const file = join(await temporaryFolder(), "crash-at");
  const checkpoint = createFailpoint(file);
  checkpoint("after:start-container");
  writeFileSync(file, "after:start-container\n");
  checkpoint("before:start-container");
  expect(kill).not.toHaveBeenCalled();
  checkpoint("after:start-container");
  expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, "SIGKILL");
  expect(existsSync(file)).toBe(false);
  checkpoint("after:start-container");
  expect(kill).toHaveBeenCalledTimes(1);
});

test("a number chooses the time it is passed", async () => {
  const file = join(await temporaryFolder(), "crash-at");
  const checkpoint = createFailpoint(file);
  writeFileSync(file, "after:save-record#2");
  checkpoint("after:save-record");
  expect(readFileSync(file, "utf8")).toBe("after:save-record#1");
  expect(kill).not.toHaveBeenCalled();
  checkpoint("after:save-record");
  expect(kill).toHaveBeenCalledTimes(1);
});
