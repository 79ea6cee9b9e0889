import type { Fault } from "./fault.ts";

/** Pulls the container's network cable: it runs on, and no packet reaches it or leaves it. */
export const network: Fault = {
  mode: "network",
  defaultDuration: null,
  inject: ({ workloads, ref }) => workloads.inject(ref, "disconnect"),
};
