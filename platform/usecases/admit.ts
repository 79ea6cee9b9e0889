import type { EnvironmentRecord, Resources } from "../domain/environment-record.ts";
import { PlatformError } from "../domain/errors.ts";
import { checkQuota } from "../domain/quota.ts";
import type { Context } from "./context.ts";

type Admission = Pick<Context, "environments" | "ongoing" | "settings">;

/** Throws `quota_exceeded` or `capacity_exhausted` when one more environment would be too much. */
export function assertFits(
  { environments, ongoing, settings }: Admission,
  wanted: { owner: string | null; resources: Resources },
): void {
  const saved = environments.all();
  const admitted = [...ongoing.admitted.values()].filter(({ id }) => environments.get(id) === null);
  const refusal = checkQuota([...saved, ...admitted, ...ongoing.reserved], wanted, settings.quota);
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
