import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import type { Observed } from "../../domain/plan/observed.ts";
import type { ActualEnvironment } from "../../workloads/workloads.ts";
import type { Needs } from "../deps.ts";
import type { LogShippers } from "../logs/log-shippers.ts";

/** Everything outside of the platform that its records are compared with. */
export type ActualState = {
  environments: ReadonlyMap<string, ActualEnvironment>;
  /** The part that one record speaks of. */
  observedOf(record: EnvironmentRecord): Observed;
};

export type ObserveActual = ReturnType<typeof createObserveActual>;

/** Looks at workloads and routes, once for all environments. */
export function createObserveActual({
  workloads,
  router,
  shippers,
}: Needs<"workloads" | "router"> & { shippers: Pick<LogShippers, "active"> }) {
  return async (): Promise<ActualState> => {
    const [environments, list] = await Promise.all([workloads.observe(), router.list()]);
    const routes = new Map(list.map((route) => [route.id, route]));
    return {
      environments,
      observedOf({ id }) {
        const { prepared = false, services = {} } = environments.get(id) ?? {};
        return { prepared, services, route: routes.get(id) ?? null, shipping: shippers.active(id) };
      },
    };
  };
}
