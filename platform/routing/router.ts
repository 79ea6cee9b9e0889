import type { TrafficState } from "../domain/plan/plan.ts";

/**
 * The front door. A change counts as done when the running Nginx answers with it; changes that
 * arrive while a reload is under way share the next one.
 */
export interface Router {
  /**
   * Has Nginx load an environment's route, replacing its former one. It stays closed, answering as an unknown
   * host does (but to probes, on the internal port), until it is opened; one that is open stays open. Resolves
   * once no old configuration answers. `ingress_rejected` when Nginx refuses the configuration (the file is set
   * aside, everyone else's routes stay), `ingress_unavailable` when Nginx does not answer, `shutting_down` when
   * the platform ends and has no time left to wait for it; in each case the former state is back.
   */
  upsert(route: Route): Promise<void>;
  /** Lets requests through to a loaded route, from now on and without a reload. Open already is fine. */
  enable(id: string): Promise<void>;
  /**
   * Closes an environment's route at once and without a reload; none is fine. Tells whether any request, to whomever,
   * is still under way then; `busy` also where that cannot be known.
   */
  disable(id: string): Promise<TrafficState>;
  /**
   * Closes an environment's route at once, before anything is waited for, then has Nginx unload it; none is
   * fine. The files go even where Nginx is down. `shutting_down` as above: the next start finishes it.
   */
  remove(id: string): Promise<void>;
  /** The routes whose file is there now with what was written into it. */
  list(): Promise<RouteState[]>;
  /**
   * Removes the files of environments that are not `known` and returns the routes' names. A file of somebody
   * else's stays while Nginx accepts it, and is set aside where Nginx refuses it.
   */
  removeStrays(known: ReadonlySet<string>): Promise<string[]>;
  /**
   * For an Nginx that does not start, and so cannot say why: sets aside every file that did not come from here, or
   * holds something else than what did, mends the platform's own, and returns the names of all these. Where there are
   * any, `helps` tells whether Nginx starts now; where it says no, or throws, those files are put back and none is named.
   */
  rescue(helps: () => Promise<boolean>): Promise<string[]>;
  /** Whether Nginx answers on its internal port, and why not. */
  check(): Promise<{ ok: boolean; detail: string }>;
}

/** A route as it is: where it leads, and whether requests are let through. */
export type RouteState = Route & { enabled: boolean };

/** What the front door must know of an environment. */
export type Route = {
  id: string;
  /** The host it answers to, such as `env-hello-mf3k2x9a.localhost`. */
  host: string;
  /** Where its service listens: IPv4 and port. */
  address: string;
  port: number;
};
