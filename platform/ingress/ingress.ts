/**
 * The front door. A change counts as done when the running Nginx answers with it; changes that
 * arrive while a reload is under way share the next one.
 */
export interface Ingress {
  /**
   * Makes a route live, replacing the environment's former one. `ingress_rejected` when Nginx refuses
   * the configuration (the file is set aside, everyone else's routes stay), `ingress_unavailable`
   * when Nginx does not answer; in both cases the former state is back.
   */
  put(route: Route): Promise<void>;
  /** Takes an environment's route away; none is fine. The file goes even where Nginx is down. */
  remove(id: string): Promise<void>;
  /** Ids that have a file now. */
  list(): Promise<string[]>;
  /** Removes files that are not ours to know and returns their names. `known` are the ids that may have one. */
  removeStrays(known: ReadonlySet<string>): Promise<string[]>;
  /** Whether Nginx answers on its internal port, and why not. */
  check(): Promise<{ ok: boolean; detail: string }>;
}

/** What the front door must know of an environment. */
export type Route = {
  id: string;
  /** The host it answers to, such as `env-hello-mf3k2x9a.localhost`. */
  host: string;
  /** Where its service listens: IPv4 and port. */
  address: string;
  port: number;
};
