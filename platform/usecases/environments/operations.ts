/** `archived_logs` is null for an environment that was destroyed before it ran. */
export type DestroyedEnvironment = { id: string; status: "destroyed"; archived_logs: string | null };

/** What may cut the health gate of a creation short: a destruction, or the end of its container. */
export type Creation = { cancel: AbortController; ended: AbortController };

export type Operations = ReturnType<typeof createOperations>;

/** Creations and destructions in progress, by id, so that one can cut short or join another. */
export function createOperations() {
  const creations = new Map<string, Creation>();
  /** A destruction that was called off resolves with null. */
  const destructions = new Map<string, Promise<DestroyedEnvironment | null>>();
  return {
    beginCreation(id: string): Creation {
      const creation = { cancel: new AbortController(), ended: new AbortController() };
      creations.set(id, creation);
      return creation;
    },
    endCreation: (id: string) => void creations.delete(id),
    cancelCreation: (id: string) => creations.get(id)?.cancel.abort(),
    /** The container of an environment has ended: its creation need not wait for health. */
    containerEnded: (id: string) => creations.get(id)?.ended.abort(),
    beginDestruction: (id: string, work: Promise<DestroyedEnvironment | null>) => void destructions.set(id, work),
    endDestruction: (id: string) => void destructions.delete(id),
    destruction: (id: string) => destructions.get(id),
    destructions: () => destructions.size,
  };
}
