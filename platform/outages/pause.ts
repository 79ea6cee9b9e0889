import type { Fault } from "./fault.ts";

/** Freezes every process of the container: connections are accepted, nothing answers. */
export const pause: Fault = {
  mode: "pause",
  defaultDuration: null,
  inject: ({ workloads, ref }) => workloads.inject(ref, "pause"),
};
