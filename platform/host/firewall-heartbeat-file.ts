import { open } from "node:fs/promises";
import { join } from "node:path";
import type { FirewallHeartbeat } from "../domain/firewall-heartbeat.ts";
import { errnoOf } from "../kernel/atomic-file.ts";
import { tellPipe } from "./pipe.ts";
import type { Firewall } from "../store/store.ts";

/**
 * The folder that is shared with the firewall's container: `state`, which that one writes when its rules change, and
 * touches whenever it looks at them, and the pipe `leaving`, which it reads.
 */
export function createFirewallFolder(folder: string): Firewall {
  return {
    async last(): Promise<FirewallHeartbeat | null> {
      try {
        const file = await open(join(folder, "state"));
        try {
          return { state: await file.readFile("utf8"), at: (await file.stat()).mtimeMs };
        } finally {
          await file.close();
        }
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return null;
        throw error;
      }
    },

    async dropRules(bridge): Promise<void> {
      tellPipe(join(folder, "leaving"), bridge);
    },
  };
}
