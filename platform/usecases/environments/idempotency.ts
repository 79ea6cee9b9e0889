import { createHash } from "node:crypto";
import { isUp, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { isExpired } from "../../domain/environment/lifetime.ts";
import type { Context } from "../context.ts";
import { secretsOf } from "./secrets-of.ts";

type Idempotency = { key: string; digest: string };
type Request = { secrets?: Record<string, string> | undefined };

/**
 * Runs `create` at most once per key and owner: a repeated request joins the one under way or gets the
 * environment it made, for as long as that lives. The same key with another request is a conflict
 * (IETF draft-ietf-httpapi-idempotency-key-header, section 2.6). Another owner's key is another key.
 */
export async function idempotently(
  context: Pick<Context, "clock" | "environments" | "ongoing" | "secrets">,
  { key, owner, request }: { key: string | null; owner: string | null; request: Request },
  create: (idempotency: Idempotency | null) => Promise<EnvironmentRecord>,
): Promise<EnvironmentRecord> {
  if (key === null) return create(null);
  const { environments, ongoing } = context;
  const wholeDigest = digestOf(request);
  const place = JSON.stringify([owner, key]);
  const underWay = ongoing.idempotent.get(place);
  if (underWay !== undefined) {
    assertSame(key, wholeDigest === underWay.digest);
    return underWay.result;
  }
  const made = environments
    .all()
    .find((record) => record.idempotency?.key === key && record.owner === owner && isThereToStay(context, record));
  if (made !== undefined) {
    assertSame(key, made.idempotency?.digest === savedDigest(request));
    assertSame(key, canonicalJson(await secretsOf(context, made.id)) === canonicalJson(request.secrets ?? {}));
    return made;
  }
  const result = create({ key, digest: savedDigest(request) });
  ongoing.idempotent.set(place, { digest: wholeDigest, result });
  try {
    return await result;
  } finally {
    ongoing.idempotent.delete(place);
  }
}

/**
 * Not so is what somebody destroys, though that may wait for its turn; what has expired, though no sweep may have come
 * to it; and what is still `creating` although nobody creates it, which was cut off and is about to be removed.
 */
function isThereToStay({ clock, ongoing }: Pick<Context, "clock" | "ongoing">, record: EnvironmentRecord): boolean {
  return isUp(record) && !isExpired(record, clock.now()) && !ongoing.destroying.has(record.id);
}

/** The digest that a state file holds knows the secrets by name only: from a digest a short one could be guessed. */
function savedDigest(request: Request): string {
  return digestOf({ ...request, secrets: Object.keys(request.secrets ?? {}).sort() });
}

function digestOf(request: object): string {
  return createHash("sha256").update(canonicalJson(request)).digest("hex");
}

function assertSame(key: string, same: boolean): void {
  if (same) return;
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
