/** What the firewall's container last wrote of its rules, and when it last checked them (milliseconds since the epoch). */
export type FirewallHeartbeat = { state: string; at: number };

/** The container checks the rules every two seconds; a busy machine may take longer. In milliseconds. */
const MAX_AGE_MS = 15_000;

/**
 * Whether the firewall's rules stand, by the heartbeat alone: only root on the machine's network can see the rules.
 * scripts/firewall/firewall.sh (`write_heartbeat`) has the format. `now`: milliseconds since the epoch.
 */
export function judgeFirewall(
  heartbeat: FirewallHeartbeat | null,
  now: number,
  instance: string,
): { ok: boolean; detail: string } {
  const container = `${instance}-firewall`;
  const failing = (state: string) => ({
    ok: false,
    detail: `${container} ${state}. Environments may reach this machine. See docker logs ${container}, then: make up`,
  });
  if (heartbeat === null) return failing("has sent no heartbeat");
  const [, rules = "", isolation] = heartbeat.state.trim().split(" ");
  if (rules === "" || rules === "failed") return failing("cannot set its rules");
  // A heartbeat from the future is as bad as an old one: the clock was set back since.
  const age = Math.abs(now - heartbeat.at);
  if (age > MAX_AGE_MS) return failing(`has not looked at its rules for ${Math.round(age / 1000)} s`);
  const docker =
    isolation === "docker" ? `; Docker alone keeps environments from each other (docker logs ${container})` : "";
  return { ok: true, detail: `the rules stand${docker}` };
}
