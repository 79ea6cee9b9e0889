import { withFailpoint, type Failpoint } from "../../kernel/failpoint.ts";
import type { EnvironmentStore } from "../state/environment-store.ts";

/** The store with the failpoints `before:save-record` and `after:save-record` around every save. */
export function failpointSaves<S extends EnvironmentStore>(environments: S, failpoint: Failpoint): S {
  return {
    ...environments,
    save: (record) => withFailpoint(failpoint, "save-record", () => environments.save(record)),
  };
}
