import { randomBytes } from "node:crypto";
import { describeError } from "../../kernel/errors.ts";
import { delay } from "../../kernel/delay.ts";
import { errnoOf } from "../../kernel/atomic-file.ts";
import type { Logger } from "../../kernel/logger.ts";
import { SIGHT_PREFIX, type ConfFolder } from "./conf-folder.ts";
import type { RunningNginx } from "./running-nginx.ts";

const POLL_MS = 50;

/**
 * Whether Nginx has the folder that is written to here. `other`: it was removed or replaced on the machine, and Nginx
 * keeps what it was given when its container started. `gone`: the platform itself has one that was removed, as a
 * container does that is given just this folder. `unknown`: nothing could be found out.
 */
type Sight = "same" | "other" | "gone" | "unknown";

export type FolderSight = {
  /** What is wrong and what helps; null where nothing is known to be wrong. Never throws. */
  trouble(): Promise<string | null>;
  /**
   * Where Nginx has another folder, restarts its container and waits until it has this one: nothing else gives it the
   * folder of today. Returns whether it had to. Throws when that is of no use.
   */
  restore(): Promise<boolean>;
};

type FolderSightOptions = {
  folder: ConfFolder;
  /** The folder's path, for whoever has to repair it. */
  path: string;
  nginx: Pick<RunningNginx, "sees">;
  restart: () => Promise<void>;
  timeoutMs: number;
  /** Once it aborts Nginx is not restarted, nor waited for, any more. */
  cutOff: AbortSignal | undefined;
  logger: Logger | undefined;
  /** Nginx's container was restarted, and why. */
  onRestarted: ((reason: string) => void) | undefined;
};

export function createFolderSight({ folder, path, nginx, ...options }: FolderSightOptions): FolderSight {
  /** A restart that did not help is not tried again, until Nginx has been seen to have the folder. */
  let isHopeless = false;

  async function look(): Promise<Sight> {
    const sign = `${SIGHT_PREFIX}${randomBytes(8).toString("hex")}`;
    try {
      await folder.touch(sign);
      const seen = await nginx.sees(sign);
      // A folder that was replaced at this very moment says nothing of the one before.
      if (seen === null || !(await folder.has(sign))) return "unknown";
      isHopeless &&= !seen;
      return seen ? "same" : "other";
    } catch (error) {
      return errnoOf((error as Error).cause) === "ENOENT" ? "gone" : "unknown";
    } finally {
      await folder.remove(sign).catch(() => undefined); // the next start clears it
    }
  }

  async function untilSeen(): Promise<boolean> {
    const deadline = performance.now() + options.timeoutMs;
    while ((await look()) !== "same") {
      if (performance.now() >= deadline) return false;
      await delay(POLL_MS, options.cutOff);
      options.cutOff?.throwIfAborted();
    }
    return true;
  }

  return {
    async trouble() {
      const sight = await look();
      if (sight === "gone")
        return `"${path}" was removed and cannot be made anew from here: make it, then restart the API's container and Nginx's`;
      if (sight === "other" && isHopeless) return `Nginx ${notEvenAfter(path)}`;
      if (sight === "other")
        return `Nginx ${replaced(path)}; with the next change, or within a minute, its container is restarted`;
      return null;
    },

    async restore() {
      if ((await look()) !== "other") return false;
      if (isHopeless) throw new Error(`it ${notEvenAfter(path)}`);
      options.cutOff?.throwIfAborted();
      isHopeless = true;
      try {
        await options.restart();
      } catch (error) {
        throw new Error(`it ${replaced(path)}, and its container cannot be restarted: ${describeError(error)}`, {
          cause: error,
        });
      }
      if (!(await untilSeen())) throw new Error(`it ${notEvenAfter(path)}`);
      const reason = `Nginx ${replaced(path)}`;
      options.logger?.warn({ reason }, "nginx restarted");
      options.onRestarted?.(reason);
      return true;
    },
  };
}

function replaced(path: string): string {
  return `does not see what is in "${path}": the folder was removed or replaced`;
}

function notEvenAfter(path: string): string {
  return `does not see what is in "${path}", not even after a restart: that must be what NGINX_CONF_DIR says, also to \`make up\`, and open to all (mode 755)`;
}
