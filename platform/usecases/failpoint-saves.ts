import type { EnvironmentStore } from "../store/state/environment-store.ts";

/**
 * Told the name of every step boundary as it is passed: `before:` and `after:` each step's kind
 * (domain/plan/step.ts), `save-record` and `inject-fault`. Does nothing in production; crash tests stop
 * the process there (kernel/failpoint.ts), and learn from it which boundaries a use-case has.
 */
export type Failpoint = (boundary: string) => void;

/** Runs one side effect between its two boundaries. */
export async function withFailpoint<T>(checkpoint: Failpoint, name: string, effect: () => Promise<T>): Promise<T> {
  checkpoint(`before:${name}`);
  const result = await effect();
  checkpoint(`after:${name}`);
  return result;
}

/** The store, with a boundary before and after every save. */
export function failpointSaves<S extends EnvironmentStore>(environments: S, checkpoint: Failpoint): S {
  return {
    ...environments,
    save: (record) => withFailpoint(checkpoint, "save-record", () => environments.save(record)),
  };
}
