/** `archived_logs` is null for an environment that was destroyed before it ran. */
export type DestroyedEnvironment = { id: string; status: "destroyed"; archived_logs: string | null };

/** What may cut the health gate of a creation short: a destruction, or the end of its container. */
export type Creation = { cancel: AbortController; ended: AbortController };

/** Creations and destructions in progress, by id, so that one can cut short or join another. */
export type Operations = {
  beginCreation(id: string): Creation;
  endCreation(id: string): void;
  cancelCreation(id: string): void;
  /** The container of an environment has ended: its creation need not wait for health. */
  containerEnded(id: string): void;
  /** The destruction in progress, which resolves with null when it was called off; undefined when there is none. */
  destruction(id: string): Promise<DestroyedEnvironment | null> | undefined;
  destructions(): number;
  beginDestruction(id: string, work: Promise<DestroyedEnvironment | null>): void;
  endDestruction(id: string): void;
};

export function createOperations(): Operations {
  const creations = new Map<string, Creation>();
  const destructions = new Map<string, Promise<DestroyedEnvironment | null>>();
  return {
    beginCreation(id) {
      const creation = { cancel: new AbortController(), ended: new AbortController() };
      creations.set(id, creation);
      return creation;
    },
    endCreation: (id) => void creations.delete(id),
    cancelCreation: (id) => creations.get(id)?.cancel.abort(),
    containerEnded: (id) => creations.get(id)?.ended.abort(),
    destruction: (id) => destructions.get(id),
    destructions: () => destructions.size,
    beginDestruction: (id, work) => void destructions.set(id, work),
    endDestruction: (id) => void destructions.delete(id),
  };
}
