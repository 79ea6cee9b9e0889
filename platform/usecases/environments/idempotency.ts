import { createHash } from "node:crypto";
import { isExpired } from "../../domain/environment/lifetime.ts";
import { isUp, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";
import type { Operations } from "./operations.ts";
import { secretsOf } from "./secrets-of.ts";

type Saved = { key: string; digest: string };
type Request = { secrets?: Record<string, string> | undefined };
type Call = { key: string | null; owner: string | null; request: Request };

export type Idempotency = ReturnType<typeof createIdempotency>;

/**
 * Runs `create` at most once per key and owner: a repeated request joins the one in progress or gets the environment
 * that it made, for as long as that lives. The same key with another request is a conflict (IETF
 * draft-ietf-httpapi-idempotency-key-header, section 2.6). Another owner's key is another key.
 */
export function createIdempotency({
  environments,
  secrets,
  clock,
  operations,
}: Needs<"environments" | "secrets" | "clock"> & { operations: Pick<Operations, "destruction"> }) {
  /** Creations in progress, until their record is there to be found. */
  const inProgress = new Map<string, { digest: string; result: Promise<EnvironmentRecord> }>();

  /** Not one that is being destroyed or has expired, nor one `creating`, which was cut off and is about to be removed. */
  const stays = (record: EnvironmentRecord): boolean =>
    isUp(record) && !isExpired(record, clock.now()) && operations.destruction(record.id) === undefined;

  return async (
    { key, owner, request }: Call,
    create: (saved: Saved | null) => Promise<EnvironmentRecord>,
  ): Promise<EnvironmentRecord> => {
    if (key === null) return create(null);
    const digest = digestOf(request);
    const place = JSON.stringify([owner, key]);
    const present = inProgress.get(place);
    if (present !== undefined) {
      assertSame(key, digest === present.digest);
      return present.result;
    }
    // The digest that a state file holds knows the secrets by name only: from a digest a short one could be guessed.
    const saved = { key, digest: digestOf({ ...request, secrets: Object.keys(request.secrets ?? {}).sort() }) };
    const isTheirs = (record: EnvironmentRecord) => record.idempotency?.key === key && record.owner === owner;
    const made = environments.all().find((record) => isTheirs(record) && stays(record));
    if (made !== undefined) {
      assertSame(key, made.idempotency?.digest === saved.digest);
      const known = await secretsOf({ environments, secrets }, made.id);
      assertSame(key, canonicalJson(known) === canonicalJson(request.secrets ?? {}));
      return made;
    }
    const result = create(saved);
    inProgress.set(place, { digest, result });
    try {
      return await result;
    } finally {
      inProgress.delete(place);
    }
  };
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
