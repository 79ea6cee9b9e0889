import { checkQuota, type Commitment } from "../../domain/access/quota.ts";
import type { EnvironmentRecord, Resources } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";

type Wanted = { owner: string | null; resources: Resources };

/** Decides whether one more environment fits into the quotas. A creation counts from the moment it is admitted. */
export type Admission = {
  /** Everything committed to environments, also to those that are being created. */
  committed(): Commitment[];
  /**
   * Keeps a place while an image is pulled, since pulls would be outside every quota otherwise. Throws `quota_exceeded`
   * or `capacity_exhausted` when one more environment would be too much. Returns the function that gives the place back.
   */
  reserve(wanted: Wanted): () => void;
  /**
   * Checks once more and makes the record, which counts from now on: nothing is awaited in between, so that creations
   * at once cannot all take the last place. The caller releases the record when the creation has ended.
   */
  admit(wanted: Wanted, draft: () => EnvironmentRecord): EnvironmentRecord;
  release(id: string): void;
  /** Environments whose creation has not ended. */
  ids(): string[];
};

/** Protected environments are those without a readable state file: each counts with the default size. */
export function createAdmission({
  environments,
  settings,
  protectedIds,
}: Needs<"environments" | "settings"> & { protectedIds: () => Iterable<string> }): Admission {
  const admitted = new Map<string, EnvironmentRecord>();
  const reserved = new Set<Commitment>();

  function committed(): Commitment[] {
    const coming = [...admitted.values()].filter(({ id }) => environments.get(id) === null);
    const ofDefaultSize = { owner: null, resources: settings.defaultResources };
    const guarded = [...protectedIds()].map((id) => commitment(id, ofDefaultSize));
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
      const place = commitment("", wanted);
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
    ids: () => [...admitted.keys()],
  };
}

function commitment(id: string, { owner, resources }: Wanted): Commitment {
  return { id, owner, services: [{ resources }] };
}
