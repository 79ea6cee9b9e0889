import type { Fault } from "./fault.ts";

/** Kills the container's main process, as an out-of-memory kill or a segfault would. */
export const crash: Fault = {
  mode: "crash",
  defaultDuration: null,
  inject: ({ workloads, ref }) => workloads.inject(ref, "kill"),
};
