import type { FirewallHeartbeat } from "../../domain/firewall-heartbeat.ts";
import type { Firewall } from "../../host/firewall-heartbeat-file.ts";
import type { Clock } from "../../kernel/clock.ts";

export type FakeFirewall = Firewall & {
  /** What `lastHeartbeat` answers; undefined: a heartbeat of this instant, with standing rules. */
  heartbeat: FirewallHeartbeat | null | undefined;
};

/** A firewall that has just checked its rules, until a test sets `heartbeat`. */
export function createFakeFirewall(clock: Clock): FakeFirewall {
  const firewall: FakeFirewall = {
    heartbeat: undefined,
    lastHeartbeat: async () =>
      firewall.heartbeat === undefined ? { state: "boot-1 0123 ours\n", at: clock.now() } : firewall.heartbeat,
  };
  return firewall;
}
