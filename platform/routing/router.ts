import type { TrafficState } from "../domain/plan/plan.ts";

/**
 * The edge proxy's routes. A change counts as done when the running Nginx answers with it; changes that arrive while a
 * reload is under way share the next one.
 */
export interface Router {
  /**
   * Has Nginx load an environment's route, replacing its former one. A new route is disabled: it answers as an unknown
   * host does (but to probes, on the internal port) until it is enabled; one that is enabled stays so. Resolves once no
   * old configuration answers. `ingress_rejected` when Nginx refuses the configuration (the file is quarantined, all
   * other routes stay), `ingress_unavailable` when Nginx does not answer or does not take it up, `shutting_down` when the
   * platform ends and has no time left to wait for it; in each case the former state is back.
   */
  upsert(route: Route): Promise<void>;
  /** Lets requests through to a loaded route, from now on and without a reload. Enabled already is fine. */
  enable(id: string): Promise<void>;
  /**
   * Disables an environment's route at once and without a reload; none is fine. Tells whether any request, to any
   * environment, is still under way then; `busy` also where that cannot be known.
   */
  disable(id: string): Promise<TrafficState>;
  /**
   * Disables an environment's route at once, before anything is waited for, then has Nginx unload it; none is fine. The
   * files go even where Nginx is down. `shutting_down` as above: the next start finishes it.
   */
  remove(id: string): Promise<void>;
  /** The routes whose file holds just the text that was written into it. */
  list(): Promise<RouteState[]>;
  /**
   * Removes the routes of environments that are not `known` and returns their files' names. Foreign files are
   * quarantined, and where Nginx does not serve what the folder holds, it is reloaded.
   */
  removeStrays(known: ReadonlySet<string>): Promise<string[]>;
  /**
   * For an Nginx that does not run: quarantines the foreign files, which may keep it from starting, repairs the
   * platform's own, and returns the names of both.
   */
  quarantineForeign(): Promise<string[]>;
  /** Whether Nginx answers on its internal port, and serves what the folder holds; and why not. */
  check(): Promise<{ ok: boolean; detail: string }>;
}

/** A route as it is: where it leads, and whether requests are let through. */
export type RouteState = Route & { enabled: boolean };

/** Where the edge proxy leads an environment's requests. */
export type Route = {
  id: string;
  /** The host it answers to, such as `env-hello-mf3k2x9a.localhost`. */
  host: string;
  /** Where its service listens: IPv4 and port. */
  address: string;
  port: number;
};
