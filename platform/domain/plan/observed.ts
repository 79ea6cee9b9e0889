/** Where a service runs, as an adapter found it. */
export type Placement = {
  /** The machine; "local" where there is only one. */
  node: string;
  /** IPv4. */
  address: string;
  /** Null: the service's own. */
  port: number | null;
  /** The container or task, which changes when the service is made anew. */
  run: string;
};

/** `unknown`: its node does not answer, so nothing is made anew because of it. */
export type ServiceState = "created" | "running" | "paused" | "exited" | "unknown";

export type ObservedService = {
  state: ServiceState;
  /** Whether the service is attached to its environment's network at its address. */
  connected: boolean;
  placement: Placement | null;
};

/** How an environment's parts are now. */
export type Observed = {
  /** Whether the environment's network is there and the edge proxy is attached to it. */
  prepared: boolean;
  /** By name. A service that is absent, or cannot be started any more, has no entry. */
  services: Readonly<Record<string, ObservedService>>;
  /** Where the edge proxy sends requests, and whether it lets them through; null: it has no route. */
  route: { address: string; port: number; enabled: boolean } | null;
  /** Services with a running log shipper. */
  shipping: readonly string[];
};

/** An environment of which nothing exists yet. */
export const NOTHING: Observed = { prepared: false, services: {}, route: null, shipping: [] };
