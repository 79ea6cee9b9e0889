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
  /** Ids that have a file now, with what was put into it. */
  list(): Promise<string[]>;
  /**
   * Removes the files of environments that are not `known` and returns their names. A file of somebody
   * else's stays while Nginx accepts it, and is set aside where Nginx refuses it.
   */
  removeStrays(known: ReadonlySet<string>): Promise<string[]>;
  /**
   * For an Nginx that does not start, and so cannot say why: sets aside every file that did not come from
   * here and returns their names.
   */
  rescue(): Promise<string[]>;
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
