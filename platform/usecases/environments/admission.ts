import { checkQuota, type Commitment, type QuotaLimits } from "../../domain/access/quota.ts";
import type { EnvironmentRecord, Resources } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";

type Wanted = { owner: string | null; resources: Resources };

export type AdmissionDeps = {
  environments: Pick<EnvironmentStore, "all" | "get">;
  /** Environments without a readable state file, of which something is there: each counts with the default size. */
  protectedIds: () => Iterable<string>;
  settings: { quota: QuotaLimits; defaultResources: Resources };
};

/** Who may have one more environment. Creations count from the moment they are admitted. */
export type Admission = {
  /** Everything committed to environments, the ones on their way included. */
  committed(): Commitment[];
  /**
   * Keeps a place while an image is pulled: pulls would be outside every quota otherwise. Throws `quota_exceeded` or
   * `capacity_exhausted` when one more environment would be too much. Returns the function that gives the place back.
   */
  reserve(wanted: Wanted): () => void;
  /**
   * Checks once more and makes the record, which counts from now on: nothing is awaited in between, so that creations
   * at once cannot all take the last place. The caller releases the record when the creation has ended.
   */
  admit(wanted: Wanted, draft: () => EnvironmentRecord): EnvironmentRecord;
  release(id: string): void;
  has(id: string): boolean;
  ids(): string[];
};

export function createAdmission({ environments, protectedIds, settings }: AdmissionDeps): Admission {
  const admitted = new Map<string, EnvironmentRecord>();
  const reserved = new Set<Commitment>();

  function committed(): Commitment[] {
    const coming = [...admitted.values()].filter(({ id }) => environments.get(id) === null);
    const services = [{ resources: settings.defaultResources }];
    const guarded = [...protectedIds()].map((id) => ({ id, owner: null, services }));
    return [...environments.all(), ...coming, ...reserved, ...guarded];
  }

  function assertFits(wanted: Wanted): void {
    const refusal = checkQuota(committed(), wanted, settings.quota);
    if (refusal !== null) throw new PlatformError(refusal.code, refusal.detail);
  }

  return {
    committed,
    reserve(wanted) {
      assertFits(wanted);
      const place = { id: "", owner: wanted.owner, services: [{ resources: wanted.resources }] };
      reserved.add(place);
      return () => void reserved.delete(place);
    },
    admit(wanted, draft) {
      assertFits(wanted);
      const record = draft();
      admitted.set(record.id, record);
      return record;
    },
    release: (id) => void admitted.delete(id),
    has: (id) => admitted.has(id),
    ids: () => [...admitted.keys()],
  };
}
