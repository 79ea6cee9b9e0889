import { createHash } from "node:crypto";
import type { EnvironmentRecord } from "../domain/environment-record.ts";
import { PlatformError } from "../domain/errors.ts";
import type { Context } from "./context.ts";

type Idempotency = { key: string; digest: string };

/**
 * Runs `create` at most once per key: a repeated request joins the one under way or gets the
 * environment it made, for as long as that lives. The same key with another request is a conflict
 * (IETF draft-ietf-httpapi-idempotency-key-header, section 2.6).
 */
export async function idempotently(
  { environments, ongoing }: Pick<Context, "environments" | "ongoing">,
  key: string | null,
  request: unknown,
  create: (idempotency: Idempotency | null) => Promise<EnvironmentRecord>,
): Promise<EnvironmentRecord> {
  if (key === null) return create(null);
  const digest = createHash("sha256").update(canonicalJson(request)).digest("hex");
  const underWay = ongoing.idempotent.get(key);
  if (underWay !== undefined) {
    assertSame(key, digest, underWay.digest);
    return underWay.result;
  }
  const made = environments.all().find((record) => record.idempotency?.key === key && record.status !== "destroying");
  if (made?.idempotency != null) {
    assertSame(key, digest, made.idempotency.digest);
    return made;
  }
  const result = create({ key, digest });
  ongoing.idempotent.set(key, { digest, result });
  try {
    return await result;
  } finally {
    ongoing.idempotent.delete(key);
  }
}

function assertSame(key: string, digest: string, known: string): void {
  if (digest === known) return;
  throw new PlatformError(
    "idempotency_key_reused",
    `Cannot use Idempotency-Key "${key}": it belongs to a request with another body. Choose a new key.`,
  );
}

/** JSON with keys in order, so that equal requests have equal digests. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
