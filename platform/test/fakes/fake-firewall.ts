import type { FirewallHeartbeat } from "../../domain/firewall-heartbeat.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { Firewall } from "../../store/store.ts";

export type FakeFirewall = Firewall & {
  /** What it says instead of having just looked at its rules. */
  word: FirewallHeartbeat | null | undefined;
  /** Bridges whose rules it was asked to drop. */
  readonly dropped: string[];
};

/** A firewall that looks at its rules all the time, until a test puts another word into `word`. */
export function createFakeFirewall(clock: Clock): FakeFirewall {
  const firewall: FakeFirewall = {
    word: undefined,
    dropped: [],
    last: async () => (firewall.word === undefined ? { state: "boot-1 0123 ours\n", at: clock.now() } : firewall.word),
    dropRules: async (bridge) => void firewall.dropped.push(bridge),
  };
  return firewall;
}
