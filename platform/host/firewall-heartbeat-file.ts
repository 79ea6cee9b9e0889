import { open } from "node:fs/promises";
import { join } from "node:path";
import type { FirewallHeartbeat } from "../domain/firewall-heartbeat.ts";
import { errnoOf } from "../kernel/atomic-file.ts";

/** The firewall's container, which keeps environments away from this machine. */
export interface Firewall {
  /** Its last heartbeat; null before the first one. */
  lastHeartbeat(): Promise<FirewallHeartbeat | null>;
}

/**
 * Reads the heartbeat from the file `state` in the folder that the platform shares with the firewall's container.
 * The container writes that file when the rules change, and touches it at every check.
 */
export function createFirewallHeartbeat(folder: string): Firewall {
  return {
    async lastHeartbeat() {
      try {
        await using file = await open(join(folder, "state"));
        return { state: await file.readFile("utf8"), at: (await file.stat()).mtimeMs };
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return null;
        throw error;
      }
    },
  };
}
