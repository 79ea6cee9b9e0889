import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { errnoOf } from "./atomic-file.ts";

/**
 * Receives the name of every failpoint as the process passes it: `before:` and `after:` each step's kind
 * (domain/plan/step.ts), `save-record`, `save-secrets` and `inject-fault`. Does nothing in production.
 */
export type Failpoint = (name: string) => void;

/** Runs one side effect between its two failpoints; a failed effect does not pass the second one. */
export async function withFailpoint<T>(failpoint: Failpoint, name: string, effect: () => Promise<T>): Promise<T> {
  failpoint(`before:${name}`);
  const result = await effect();
  failpoint(`after:${name}`);
  return result;
}

/**
 * For tests of crash recovery: kills the process with SIGKILL at the failpoint that `file` names, such as
 * `before:start-container`, or `after:save-record#2` for the second time it is passed. The file is removed first,
 * so that the next start goes on. Without a file, as in production (FAILPOINT_FILE is not set), nothing is read.
 */
export function createFailpoint(file: string | undefined): Failpoint {
  if (file === undefined) return () => {};
  return (passed) => {
    const [name, times] = readWanted(file).split("#");
    if (name !== passed) return;
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
