import fc from "fast-check";
import { expect, test } from "vitest";
import { createIdMaker, isEnvironmentId } from "./ids.ts";

const NOW = Date.UTC(2030, 0, 1);

test("an id is made from the name and the time", () => {
  expect(createIdMaker()("My App!", NOW)).toBe(`env-my-app-${NOW.toString(36)}`);
});

test("accents become plain letters in an id, and a name without letters gets an id as well", () => {
  const make = createIdMaker();
  expect(make("Crème Brûlée", NOW)).toMatch(/^env-creme-brulee-/);
  expect(make("🚀🚀", NOW)).toMatch(/^env-sandbox-/);
});

test("one name gets different ids in the same millisecond", () => {
  const make = createIdMaker();
  const ids = Array.from({ length: 1000 }, () => make("same", NOW));
  expect(new Set(ids).size).toBe(1000);
});

test("the id of any name is a DNS label of at most 50 characters", () => {
  const make = createIdMaker();
  const unit = fc.integer({ min: 0, max: 0x10ffff }).map((code) => String.fromCodePoint(code));
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 64 }), (name) => {
      const id = make(name, NOW);
      expect(id.length).toBeLessThanOrEqual(50);
      expect(id).toMatch(/^env-[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
      expect(isEnvironmentId(id)).toBe(true);
    }),
  );
});

test.each([
  "",
  "env-",
  "env-A",
  "env-a/../b",
  "env-a.b",
  "../env-a",
  "env-a\n",
  `env-${"a".repeat(47)}`,
  "nginx",
  "env-a-",
])("%j is not an id", (text) => {
  expect(isEnvironmentId(text)).toBe(false);
});
