import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../../test/support/any-text.ts";
import { createIdMaker, isEnvironmentId } from "./ids.ts";

const NOW = Date.UTC(2030, 0, 1);

test("an id is made from the name and the time", () => {
  expect(createIdMaker()("My App!", NOW)).toBe(`env-my-app-${NOW.toString(36)}`);
});

test("accents become plain letters, and what has no letters still gets an id", () => {
  const make = createIdMaker();
  expect(make("Crème Brûlée", NOW)).toMatch(/^env-creme-brulee-/);
  expect(make("🚀🚀", NOW)).toMatch(/^env-sandbox-/);
});

test("the same name in the same millisecond gets different ids", () => {
  const make = createIdMaker();
  const ids = Array.from({ length: 1000 }, () => make("same", NOW));
  expect(new Set(ids).size).toBe(1000);
});

test("any text whatever becomes a DNS label of at most 50 characters", () => {
  const make = createIdMaker();
  fc.assert(
    fc.property(anyText(64), (name) => {
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
