import { z } from "zod";
import { OUTAGE_MODES } from "../../domain/environment/record.ts";

const MAX_OUTAGE_SECONDS = 86_400;
const MAX_LINES = 10_000;

/** The body of `POST /envs/:id/extend`. */
export const ExtendSchema = z.strictObject({
  seconds: z.int().min(1, "must be at least 1; a lifetime can only be made longer").max(31_536_000),
});

/** The body of `POST /envs/:id/outage`. */
export const OutageSchema = z.strictObject({
  mode: z.enum([...OUTAGE_MODES, "recover"]),
  service: z.string().max(63).optional(),
  duration: z.int().min(1).max(MAX_OUTAGE_SECONDS).optional(),
});

/** A number in a query: digits only, and none of the other forms that a number parser takes. */
function wholeNumber(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.int().min(min).max(max));
}

/** The query of `GET /envs/:id/logs`; `since` becomes milliseconds since the epoch, as `now` is. */
export function logQuerySchema(now: number) {
  const since = z
    .string()
    .max(64)
    .transform((text) => parseSince(text, now))
    .pipe(z.number("must be an ISO 8601 time or a length such as 90s, 10m, 2h"));
  return z.strictObject({
    lines: wholeNumber(0, MAX_LINES).default(100),
    service: z.string().max(63).exactOptional(),
    since: since.exactOptional(),
    grep: z.string().max(1024).exactOptional(),
  });
}

/** The query of `GET /audit`. */
export const AuditQuerySchema = z.strictObject({
  limit: wholeNumber(1, MAX_LINES).default(100),
});

/** The `Idempotency-Key` header. */
export const IdempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, "must be 1 to 255 printable characters without spaces");

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** An ISO 8601 time, or a time ago (`90s`, `10m`, `2h`, `1d`); NaN for other text. */
function parseSince(text: string, now: number): number {
  const ago = /^(\d{1,9})([smhd])$/.exec(text);
  if (ago !== null) return now - Number(ago[1]) * (UNIT_MS[ago[2] ?? ""] ?? 0);
  return z.iso.datetime({ offset: true, local: true }).safeParse(text).success ? Date.parse(text) : Number.NaN;
}
