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

/** A number in a query: plain digits, nothing that a number parser would also take. */
function wholeNumber(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.int().min(min).max(max));
}

/** The query of `GET /envs/:id/logs`. */
export const LogQuerySchema = z.strictObject({
  lines: wholeNumber(0, MAX_LINES).default(100),
  service: z.string().max(63).optional(),
  since: z.string().max(64).optional(),
  grep: z.string().max(1024).optional(),
});

/** The query of `GET /audit`. */
export const AuditQuerySchema = z.strictObject({
  limit: wholeNumber(1, MAX_LINES).default(100),
});

/** The `Idempotency-Key` header. */
export const IdempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, "must be 1 to 255 printable characters without spaces");

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `since` as milliseconds since the epoch: an ISO 8601 time, or so long ago (`90s`, `10m`, `2h`, `1d`); null when it is neither. */
export function parseSince(text: string, now: number): number | null {
  const ago = /^(\d{1,9})([smhd])$/.exec(text);
  if (ago !== null) return now - Number(ago[1]) * (UNIT_MS[ago[2] ?? ""] ?? 0);
  const time = z.iso.datetime({ offset: true, local: true }).safeParse(text).success ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}
