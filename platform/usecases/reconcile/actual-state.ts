import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import type { Observed } from "../../domain/plan/observed.ts";
import type { Router, RouteState } from "../../routing/router.ts";
import type { ActualEnvironment, Workloads } from "../../workloads/workloads.ts";
import type { LogShippers } from "../logs/log-shippers.ts";

/** Everything outside of the platform that its records are compared with. */
export type ActualState = {
  environments: ReadonlyMap<string, ActualEnvironment>;
  routes: ReadonlyMap<string, RouteState>;
  /** The part that one record speaks of. */
  observedOf(record: EnvironmentRecord): Observed;
};

export type ActualStateDeps = {
  workloads: Pick<Workloads, "observe">;
  router: Pick<Router, "list">;
  shippers: Pick<LogShippers, "active">;
};

/** Looks at workloads and routes, once for all environments. */
export type ObserveActual = () => Promise<ActualState>;

export function createObserveActual({ workloads, router, shippers }: ActualStateDeps): ObserveActual {
  return async () => {
    const [environments, list] = await Promise.all([workloads.observe(), router.list()]);
    const routes = new Map(list.map((route) => [route.id, route]));
    return {
      environments,
      routes,
      observedOf({ id }) {
        const actual = environments.get(id);
        return {
          prepared: actual?.prepared ?? false,
          services: actual?.services ?? {},
          route: routes.get(id) ?? null,
          shipping: shippers.active(id),
        };
      },
    };
  };
}
