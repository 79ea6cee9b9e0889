import { expect, test } from "vitest";
import { aRecord } from "../../test/support/record.ts";
import { extendLifetime, isExpired, isOutageOver, remainingSeconds, wasClockSetBackSince } from "./lifetime.ts";

const CREATED = Date.parse("2030-01-01T00:00:00.000Z");
const record = aRecord({ ttl: 1800 });

test("an environment expires when its time is up, not before", () => {
  expect(isExpired(record, CREATED + 1_799_999)).toBe(false);
  expect(isExpired(record, CREATED + 1_800_000)).toBe(true);
});

test("the remaining time is never negative", () => {
  expect(remainingSeconds(record, CREATED)).toBe(1800);
  expect(remainingSeconds(record, CREATED + 3_600_000)).toBe(0);
});

test("extending moves the end later and sets the new lifetime", () => {
  const extended = extendLifetime(record, 600, 86_400, CREATED + 1000);
  expect(extended.expires_at).toBe("2030-01-01T00:40:00.000Z");
  expect(extended.ttl).toBe(2400);
});

test("extending is capped at MAX_TTL from now", () => {
  expect(extendLifetime(record, 999_999, 3600, CREATED).expires_at).toBe("2030-01-01T01:00:00.000Z");
});

test("extending never makes the end sooner, even above the cap", () => {
  expect(extendLifetime(record, 1, 60, CREATED).expires_at).toBe(record.expires_at);
});

test("extending an expired environment that is not destroyed yet counts from now", () => {
  const overdue = CREATED + 1_800_000 + 60_000;
  const extended = extendLifetime(record, 30, 86_400, overdue);
  expect(Date.parse(extended.expires_at)).toBe(overdue + 30_000);
  expect(extended.ttl).toBe(1890);
  expect(isExpired(extended, overdue)).toBe(false);
});

test("an outage without an end is never over, and an outage with an end is over at that moment", () => {
  const outage = { mode: "pause", service: "app", started_at: "2030-01-01T00:00:00.000Z", ends_at: null } as const;
  expect(isOutageOver(record, CREATED)).toBe(false);
  expect(isOutageOver({ ...record, outage }, CREATED + 1e9)).toBe(false);
  const ending = { ...record, outage: { ...outage, ends_at: "2030-01-01T00:00:10.000Z" } };
  expect(isOutageOver(ending, CREATED + 9_999)).toBe(false);
  expect(isOutageOver(ending, CREATED + 10_000)).toBe(true);
});

test("an outage with an end is over when the clock was set back to before it began", () => {
  const outage = {
    mode: "pause",
    service: "app",
    started_at: "2030-01-01T00:01:00.000Z",
    ends_at: "2030-01-01T00:02:00.000Z",
  } as const;
  const broken = { ...record, outage };
  expect(isOutageOver(broken, CREATED + 60_000)).toBe(false);
  expect(isOutageOver(broken, CREATED + 56_000)).toBe(false); // it was merely kept right
  expect(isOutageOver(broken, CREATED)).toBe(true);
  expect(isOutageOver({ ...record, outage: { ...outage, ends_at: null } }, CREATED)).toBe(false);
});

test("a clock counts as set back when a known moment is more than 5 s ahead of it", () => {
  const now = Date.parse("2030-01-01T12:00:00Z");
  expect(wasClockSetBackSince([], now)).toBe(false);
  expect(wasClockSetBackSince(["2030-01-01T11:00:00.000000001Z", "2030-01-01T12:00:04.999999999Z"], now)).toBe(false);
  expect(wasClockSetBackSince(["2030-01-01T11:00:00.000000001Z", "2030-01-01T12:00:06.000000000Z"], now)).toBe(true);
});
