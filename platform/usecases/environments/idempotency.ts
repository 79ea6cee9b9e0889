import { createHash } from "node:crypto";
import { isUp, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { isExpired } from "../../domain/environment/lifetime.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { SecretStore } from "../../store/secrets/secret-store.ts";
import type { Operations } from "./operations.ts";
import { secretsOf } from "./secrets-of.ts";

type Saved = { key: string; digest: string };
type Request = { secrets?: Record<string, string> | undefined };

export type IdempotencyDeps = {
  clock: Pick<Clock, "now">;
  environments: Pick<EnvironmentStore, "all" | "get">;
  secrets: Pick<SecretStore, "read">;
  operations: Pick<Operations, "destruction">;
};

/**
 * Runs `create` at most once per key and owner: a repeated request joins the one in progress or gets the environment
 * that it made, for as long as that lives. The same key with another request is a conflict (IETF
 * draft-ietf-httpapi-idempotency-key-header, section 2.6). Another owner's key is another key.
 */
export type Idempotency = (
  call: { key: string | null; owner: string | null; request: Request },
  create: (saved: Saved | null) => Promise<EnvironmentRecord>,
) => Promise<EnvironmentRecord>;

export function createIdempotency({ clock, environments, secrets, operations }: IdempotencyDeps): Idempotency {
  /** Creations in progress, until their record is there to be found. */
  const inProgress = new Map<string, { digest: string; result: Promise<EnvironmentRecord> }>();

  /**
   * An environment does not stay when it is being destroyed or has expired, or is `creating` without a creation: then it
   * was cut off and is about to be removed.
   */
  const stays = (record: EnvironmentRecord): boolean =>
    isUp(record) && !isExpired(record, clock.now()) && operations.destruction(record.id) === undefined;

  return async ({ key, owner, request }, create) => {
    if (key === null) return create(null);
    const wholeDigest = digestOf(request);
    const place = JSON.stringify([owner, key]);
    const present = inProgress.get(place);
    if (present !== undefined) {
      assertSame(key, wholeDigest === present.digest);
      return present.result;
    }
    const made = environments
      .all()
      .find((record) => record.idempotency?.key === key && record.owner === owner && stays(record));
    if (made !== undefined) {
      assertSame(key, made.idempotency?.digest === savedDigest(request));
      assertSame(
        key,
        canonicalJson(await secretsOf({ environments, secrets }, made.id)) === canonicalJson(request.secrets ?? {}),
      );
      return made;
    }
    const result = create({ key, digest: savedDigest(request) });
    inProgress.set(place, { digest: wholeDigest, result });
    try {
      return await result;
    } finally {
      inProgress.delete(place);
    }
  };
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
