import type { EnvironmentRecord, Resources } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { checkQuota, type Commitment } from "../../domain/access/quota.ts";
import type { Context } from "../context.ts";

type Admission = Pick<Context, "environments" | "heldBack" | "ongoing" | "settings">;

/**
 * What is promised to environments, those on their way included. Of one that is held back nobody knows what it was
 * promised: it counts as one of the default size.
 */
export function committed({ environments, heldBack, ongoing, settings }: Admission): Commitment[] {
  const admitted = [...ongoing.admitted.values()].filter(({ id }) => environments.get(id) === null);
  const held = [...heldBack].map((id) => ({ id, owner: null, services: [{ resources: settings.defaultResources }] }));
  return [...environments.all(), ...admitted, ...ongoing.reserved, ...held];
}

/** Throws `quota_exceeded` or `capacity_exhausted` when one more environment would be too much. */
export function assertFits(context: Admission, wanted: { owner: string | null; resources: Resources }): void {
  const refusal = checkQuota(committed(context), wanted, context.settings.quota);
  if (refusal !== null) throw new PlatformError(refusal.code, refusal.detail);
}

/**
 * Keeps a place while an image is pulled: pulls would be outside every quota otherwise. Throws as assertFits does.
 * Returns what gives the place back.
 */
export function reserve(
  context: Admission,
  { owner, resources }: { owner: string | null; resources: Resources },
): () => void {
  assertFits(context, { owner, resources });
  const place = { id: "", owner, services: [{ resources }] };
  context.ongoing.reserved.add(place);
  return () => void context.ongoing.reserved.delete(place);
}

/**
 * Checks once more and makes the record, which counts from this moment on: nothing is awaited in
 * between, so that creations at once cannot all take the last place. Whoever calls it deletes the
 * reservation when the creation has ended.
 */
export function admit(
  context: Admission,
  wanted: { owner: string | null; resources: Resources },
  draft: () => EnvironmentRecord,
): EnvironmentRecord {
  assertFits(context, wanted);
  const record = draft();
  context.ongoing.admitted.set(record.id, record);
  return record;
}
