import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Lets this process have a processor as soon as it wants one while `work` runs (SCHED_FIFO, `man 7 sched`), as if it ran
 * on a machine of its own: who measures how long others take does not wait for a turn himself. What it starts meanwhile
 * has no such right. Without the permission, or without `chrt`, the work is done all the same, by a client that is late:
 * what it is late by (`lateness`) tells.
 */
export async function withOwnTurn<T>(work: () => Promise<T>): Promise<T> {
  const chrt = (...policy: string[]): Promise<boolean> =>
    run("chrt", ["--all-tasks", ...policy, String(process.pid)]).then(
      () => true,
      () => false,
    );
  try {
    const granted = await chrt("--reset-on-fork", "--fifo", "--pid", "1");
    if (!granted) process.stderr.write("  the sender has no turn of its own (chrt): its own lateness counts\n");
    return await work();
  } finally {
    await chrt("--other", "--pid", "0");
  }
}
