/** The last that the firewall's container said of its rules, and when. */
export type FirewallHeartbeat = { state: string; at: number };

/** It looks at the rules, and says so, every two seconds; a busy machine may take some more. In milliseconds. */
const SILENCE_MS = 15_000;

/**
 * Whether the firewall's rules stand, by its word alone: the rules themselves can be seen with root's rights on the
 * machine's network only. scripts/firewall/firewall.sh says what it says. Null: it has said nothing.
 */
export function judgeFirewall(
  word: FirewallHeartbeat | null,
  now: number,
  instance: string,
): { ok: boolean; detail: string } {
  const container = `${instance}-firewall`;
  const remedy = `Environments may reach this machine. See docker logs ${container}, then: make up`;
  if (word === null) return { ok: false, detail: `${container} has said nothing of its rules. ${remedy}` };
  const [, rules = "", isolation] = word.state.trim().split(" ");
  if (rules === "" || rules === "failed") {
    return { ok: false, detail: `${container} cannot set its rules. ${remedy}` };
  }
  // A clock that was set back must not make an old word new.
  const age = Math.abs(now - word.at);
  if (age > SILENCE_MS) {
    return { ok: false, detail: `${container} has not looked at its rules for ${seconds(age)} s. ${remedy}` };
  }
  const docker =
    isolation === "docker" ? `; from each other Docker alone keeps environments (docker logs ${container})` : "";
  return { ok: true, detail: `the rules stand${docker}` };
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
