import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { createFailpoint } from "./failpoint.ts";

const kill = vi.spyOn(process, "kill").mockReturnValue(true);

afterEach(() => void kill.mockClear());
afterAll(() => kill.mockRestore());

test("a failpoint without a file kills nothing", () => {
  createFailpoint(undefined)("before:start-container");
  expect(kill).not.toHaveBeenCalled();
});

test("the process kills itself once, at the failpoint that the file names", async () => {
  const file = join(await temporaryFolder(), "failpoint");
  const failpoint = createFailpoint(file);
  failpoint("after:start-container");
  writeFileSync(file, "after:start-container\n");
  failpoint("before:start-container");
  expect(kill).not.toHaveBeenCalled();
  failpoint("after:start-container");
  expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, "SIGKILL");
  expect(existsSync(file)).toBe(false);
  failpoint("after:start-container");
  expect(kill).toHaveBeenCalledTimes(1);
});

test("a number in the file chooses which passing of the failpoint kills", async () => {
  const file = join(await temporaryFolder(), "failpoint");
  const failpoint = createFailpoint(file);
  writeFileSync(file, "after:save-record#2");
  failpoint("after:save-record");
  expect(readFileSync(file, "utf8")).toBe("after:save-record#1");
  expect(kill).not.toHaveBeenCalled();
  failpoint("after:save-record");
  expect(kill).toHaveBeenCalledTimes(1);
});
