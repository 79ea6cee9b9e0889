import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Does `work` while this process runs in real time (SCHED_FIFO, `man 7 sched`): a client that measures latencies must
 * not wait for a core itself. Its child processes do not inherit it. Without `chrt` or the permission, the work is done
 * by a late client, whose lateness then shows.
 */
export async function inRealTime<T>(work: () => Promise<T>): Promise<T> {
  const chrt = (...policy: string[]): Promise<boolean> =>
    run("chrt", ["--all-tasks", ...policy, String(process.pid)]).then(
      () => true,
      () => false,
    );
  try {
    const granted = await chrt("--reset-on-fork", "--fifo", "--pid", "1");
    if (!granted) process.stderr.write("  the client cannot run in real time (chrt): its own lateness counts\n");
    return await work();
  } finally {
    await chrt("--other", "--pid", "0");
  }
}
