import type { FirewallHeartbeat } from "../domain/firewall-heartbeat.ts";

/** How much can still be written, in bytes. */
export interface DiskSpace {
  /** Where the state files and where the logs are; often the same file system. */
  free(): Promise<{ state: number; logs: number }>;
}

/** The firewall's container, which keeps environments from this machine. */
export interface Firewall {
  /** The last that it said of its rules; null when it has said nothing. */
  last(): Promise<FirewallHeartbeat | null>;
  /**
   * Has it take away, in one go, the engine's rules about the bridge of a network that nobody needs any more and that
   * is about to be removed (docs/adr/0010). Resolves when it is asked. Where it does not listen, nothing happens: the
   * engine takes them away itself, one by one.
   */
  dropRules(bridge: string): Promise<void>;
}
