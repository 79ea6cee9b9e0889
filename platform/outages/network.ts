import type { Fault } from "./fault.ts";

/** Pulls the container's network cable: it runs on and reaches nobody. */
export const network: Fault = {
  mode: "network",
  defaultDuration: null,
  inject: ({ workloads, ref }) => workloads.inject(ref, "disconnect"),
};
