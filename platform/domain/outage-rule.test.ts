import { expect, test } from "vitest";
import { aRecord } from "../test/support/record.ts";
import type { OutageMode } from "./environment/record.ts";
import { isOutageGone } from "./outage-rule.ts";
import { NOTHING, type ServiceState } from "./plan/observed.ts";

function seen(mode: OutageMode, state: ServiceState, connected = true): boolean {
  const record = aRecord({ outage: { mode, service: "app", started_at: "2030-01-01T00:00:00.000Z", ends_at: null } });
  return isOutageGone(record, { ...NOTHING, services: { app: { state, connected, placement: null } } });
}

test.each([
  ["crash", "exited", true, false],
  ["crash", "running", true, true],
  ["pause", "paused", true, false],
  ["pause", "running", true, true],
  ["pause", "exited", true, true],
  ["network", "running", false, false],
  ["network", "exited", false, false],
  ["network", "running", true, true],
  ["stress", "running", true, false],
  ["stress", "paused", true, false],
  ["stress", "exited", true, true],
  ["crash", "unknown", true, false],
  ["network", "unknown", true, false],
] as const)("a %s outage of a service that is %s, connected: %s, is gone: %s", (mode, state, connected, expected) => {
  expect(seen(mode, state, connected)).toBe(expected);
});

test("an outage is not gone when its service is absent, or when there is no outage", () => {
  expect(isOutageGone(aRecord(), NOTHING)).toBe(false);
  const outage = { mode: "crash", service: "app", started_at: "2030-01-01T00:00:00.000Z", ends_at: null } as const;
  expect(isOutageGone(aRecord({ outage }), NOTHING)).toBe(false);
});
