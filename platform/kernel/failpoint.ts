import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { errnoOf } from "./atomic-file.ts";

/**
 * For tests of crash recovery: a function that is told the name of every step boundary the process
 * passes, and kills the process with SIGKILL at the one that `file` names. The file holds a boundary,
 * such as `before:start-container`, or `after:save-record#2` for the second time it is passed; it is
 * removed as it fires, so that the next start goes on. Without a file (as in production, where
 * CRASH_AT_FILE is not set) nothing is read and nothing happens.
 */
export function createFailpoint(file: string | undefined): (boundary: string) => void {
  if (file === undefined) return () => {};
  return (boundary) => {
    const [name, times] = readWanted(file).split("#");
    if (name !== boundary) return;
    const left = Number(times ?? 1) - 1;
    if (left > 0) return writeFileSync(file, `${name}#${left}`);
    unlinkSync(file);
    process.kill(process.pid, "SIGKILL");
  };
}

function readWanted(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "";
    throw error;
  }
}
