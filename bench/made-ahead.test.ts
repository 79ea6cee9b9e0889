import { expect, test } from "vitest";
import { isFull, readMadeAhead } from "./made-ahead.ts";

const health = (detail: string) => ({ status: "ok", parts: { ahead: { ok: true, detail } } });

test("what is made ahead is read from the platform's health, with trouble told behind it or not", () => {
  const made = readMadeAhead(health("1 of 2 environments and 4 of 4 networks are ready; the engine is slow"));
  expect(made).toEqual({ spares: 1, sparesWanted: 2, networks: 4, networksWanted: 4 });
  expect(made !== null && isFull(made)).toBe(false);
  const full = readMadeAhead(health("0 of 0 environments and 4 of 4 networks are ready"));
  expect(full !== null && isFull(full)).toBe(true);
});

test("a platform that makes nothing ahead says nothing", () => {
  expect(readMadeAhead({ status: "ok", parts: {} })).toBeNull();
  expect(readMadeAhead(health("well"))).toBeNull();
  expect(readMadeAhead(null)).toBeNull();
});
