import fc from "fast-check";
import { expect, test } from "vitest";
import { chooseArchives, type Archive } from "./archive-rule.ts";

const NOW = Date.UTC(2030, 0, 10);
const DAY = 86_400;
const LIMITS = { maxAge: 7 * DAY, maxSize: 1000 };

/** An archive `days` old. */
function aged(days: number, bytes: number, id = `env-a-${days}`): Archive {
  return { id, bytes, lastWritten: NOW - days * DAY * 1000 };
}

function choose(archives: Archive[], missing = 0, limits = LIMITS): string[] {
  return chooseArchives(archives, limits, missing, NOW).map(({ archive, reason }) => `${archive.id} ${reason}`);
}

test("no archive goes while all are young and small and the disk has room", () => {
  expect(choose([aged(1, 500), aged(6.9, 500)])).toEqual([]);
  expect(choose([])).toEqual([]);
});

test("archives older than the limit go, oldest first", () => {
  expect(choose([aged(1, 1), aged(8, 1), aged(30, 1), aged(7, 1)])).toEqual(["env-a-30 age", "env-a-8 age"]);
});

test("the oldest archives go until the rest fits into the size limit", () => {
  expect(choose([aged(1, 600), aged(2, 300), aged(3, 300), aged(4, 10)])).toEqual(["env-a-4 size", "env-a-3 size"]);
});

test("the oldest archives go until the disk has enough room, and no more", () => {
  expect(choose([aged(1, 100), aged(2, 100), aged(3, 100)], 150)).toEqual(["env-a-3 disk", "env-a-2 disk"]);
  expect(choose([aged(1, 100)], 1e12)).toEqual(["env-a-1 disk"]);
});

test("an archive that goes for its age counts towards the other limits", () => {
  expect(choose([aged(9, 600), aged(1, 600)], 500)).toEqual(["env-a-9 age"]);
});

test("of any archives those that stay are within the limits, and none that goes is younger than one that stays", () => {
  const archive = fc.record({
    id: fc.uuid(),
    bytes: fc.nat(2000),
    lastWritten: fc.integer({ min: NOW - 20 * DAY * 1000, max: NOW + 1000 }),
  });
  fc.assert(
    fc.property(fc.array(archive), fc.nat(3000), (archives, missing) => {
      const gone = chooseArchives(archives, LIMITS, missing, NOW).map((each) => each.archive);
      const kept = archives.filter((each) => !gone.includes(each));
      const sum = (list: Archive[]) => list.reduce((total, { bytes }) => total + bytes, 0);
      expect(sum(kept)).toBeLessThanOrEqual(LIMITS.maxSize);
      expect(sum(gone) >= missing || kept.length === 0).toBe(true);
      for (const each of kept) {
        expect(each.lastWritten).toBeGreaterThanOrEqual(NOW - LIMITS.maxAge * 1000);
        for (const other of gone) expect(other.lastWritten).toBeLessThanOrEqual(each.lastWritten);
      }
    }),
  );
});
