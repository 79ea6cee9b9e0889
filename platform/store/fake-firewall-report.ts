import type { FirewallWord } from "../domain/firewall-word.ts";
import type { Clock } from "../runtime/clock.ts";
import type { FirewallReport } from "./store.ts";

/** A firewall that looks at its rules all the time, until a test puts another word into `word`. */
export function createFakeFirewallReport(clock: Clock): FirewallReport & { word: FirewallWord | null | undefined } {
  const report = {
    word: undefined as FirewallWord | null | undefined,
    last: async () => (report.word === undefined ? { said: "boot-1 0123 ours\n", at: clock.now() } : report.word),
  };
  return report;
}
