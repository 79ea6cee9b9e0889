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
  const reserved = [...ongoing.admitted.values()].filter(({ id }) => environments.get(id) === null);
  const refusal = checkQuota([...saved, ...reserved], wanted, settings.quota);
  if (refusal !== null) throw new PlatformError(refusal.code, refusal.detail);
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
