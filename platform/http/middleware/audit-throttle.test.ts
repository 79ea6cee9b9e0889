import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { NewAuditEntry } from "../../domain/access/audit.ts";
import { createAuditThrottle, type AuditThrottle } from "./audit-throttle.ts";

let written: NewAuditEntry[];
let stop: AbortController;
let throttle: AuditThrottle;

beforeEach(() => {
  written = [];
  stop = new AbortController();
  throttle = createAuditThrottle({ append: (entry) => void written.push(entry) }, stop.signal);
});

function refuse(who: string | null, { result = 403, what = "x", from = "192.0.2.1" } = {}): void {
  throttle.append({ who, role: null, what, env_id: null, from, result, request_id: null });
}

test("refusals that go on are one entry a minute with their number, the last of them, until they stop", () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const writtenSince = () => written.splice(0).map(({ who, what, result, count }) => [who, what, result, count]);
  for (let i = 0; i < 5; i++) refuse("eve", { what: `PUT /${i}` });
  refuse("eve", { result: 404 });
  refuse("bob");
  expect(writtenSince()).toEqual([
    ["eve", "PUT /0", 403, undefined],
    ["eve", "x", 404, undefined],
    ["bob", "x", 403, undefined],
  ]);
  vi.advanceTimersByTime(60_000);
  expect(writtenSince()).toEqual([["eve", "PUT /4", 403, 4]]);
  refuse("eve");
  refuse("eve");
  expect(writtenSince()).toEqual([]);
  vi.advanceTimersByTime(60_000);
  expect(writtenSince()).toEqual([["eve", "x", 403, 2]]);
  vi.advanceTimersByTime(3_600_000);
  expect(writtenSince()).toEqual([]);
  refuse("eve");
  expect(writtenSince()).toHaveLength(1);
});

test("refused tokens have an entry for each of twenty addresses, and one for all further addresses", () => {
  for (let i = 0; i < 200; i++) refuse(null, { result: 401, from: `192.0.2.${i}` });
  expect(written).toHaveLength(21);
  expect(written.at(-1)).toMatchObject({ who: null, from: null, result: 401 });
});

test("refusals that still wait are written when the platform stops", () => {
  for (let i = 0; i < 3; i++) refuse("eve");
  stop.abort();
  expect(written.map(({ count }) => count)).toEqual([undefined, 2]);
});
