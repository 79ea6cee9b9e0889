import { open } from "node:fs/promises";
import type { FirewallWord } from "../domain/firewall-word.ts";
import { errnoOf } from "../runtime/atomic-file.ts";
import type { FirewallReport } from "./store.ts";

/** The file that the firewall's container writes when its rules change, and touches whenever it looks at them. */
export function createFirewallFile(path: string): FirewallReport {
  return {
    async last(): Promise<FirewallWord | null> {
      try {
        const file = await open(path);
        try {
          return { said: await file.readFile("utf8"), at: (await file.stat()).mtimeMs };
        } finally {
          await file.close();
        }
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return null;
        throw error;
      }
    },
  };
}
