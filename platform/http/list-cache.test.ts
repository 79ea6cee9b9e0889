import { expect, test } from "vitest";
import type { Caller } from "../domain/access/caller.ts";
import type { EnvironmentRecord } from "../domain/environment/record.ts";
import { viewEnvironment, type EnvironmentView } from "../domain/environment/view.ts";
import { aRecord } from "../test/support/record.ts";
import { createListCache } from "./list-cache.ts";

const NOW = Date.parse("2030-01-01T00:00:00.000Z");
const ADMIN: Caller = { name: "root", role: "admin" };
const ANN: Caller = { name: "ann", role: "member" };
const BOB: Caller = { name: "bob", role: "member" };

/** A listing that has made nothing yet, and how often it has looked at a record since. */
function listing() {
  let looks = 0;
  const list = createListCache((record, now) => {
    looks++;
    return viewEnvironment(record, { baseDomain: "localhost", port: 80 }, now);
  });
  return {
    list: (...asked: Parameters<typeof list>) => JSON.parse(list(...asked).toString()) as EnvironmentView[],
    looks: () => looks,
  };
}

const endingIn = (ms: number, of: Partial<EnvironmentRecord> = {}) =>
  aRecord({ expires_at: new Date(NOW + ms).toISOString(), ...of });

test("a list is made once for all who see the same and ask within a tenth of a second", () => {
  const { list, looks } = listing();
  const records = [endingIn(10_000)];
  const first = list(records, ADMIN, NOW);
  expect(first).toMatchObject([{ id: records[0]?.id, ttl_remaining: 10 }]);
  expect(list(records, { name: "vera", role: "viewer" }, NOW + 99)).toEqual(first);
  expect(looks()).toBe(1);
});

test("the time that is left is never older than that", () => {
  const { list } = listing();
  const records = [endingIn(10_050)];
  expect(list(records, ADMIN, NOW)).toMatchObject([{ ttl_remaining: 11 }]);
  expect(list(records, ADMIN, NOW + 100)).toMatchObject([{ ttl_remaining: 10 }]);
  // Somebody sets the clock back.
  expect(list(records, ADMIN, NOW - 60_000)).toMatchObject([{ ttl_remaining: 71 }]);
});

test("a change shows at once", () => {
  const { list } = listing();
  expect(list([endingIn(10_000)], ADMIN, NOW)).toHaveLength(1);
  expect(list([], ADMIN, NOW + 1)).toEqual([]);
});

test("everybody is given what is theirs to see, and not what was made for somebody else", () => {
  const { list } = listing();
  const records = ["ann", "bob", null].map((owner, index) => endingIn(10_000, { id: `env-a-${index}`, owner }));
  const ids = (caller: Caller) => list(records, caller, NOW).map(({ id }) => id);
  expect(ids(ADMIN)).toEqual(["env-a-0", "env-a-1", "env-a-2"]);
  expect(ids(ANN)).toEqual(["env-a-0"]);
  expect(ids(BOB)).toEqual(["env-a-1"]);
  // A token's role may be another one from one request to the next.
  expect(ids({ name: "ann", role: "viewer" })).toEqual(["env-a-0", "env-a-1", "env-a-2"]);
});
