import { expect, test } from "vitest";
import type { Caller } from "../domain/access/caller.ts";
import type { EnvironmentRecord } from "../domain/environment/record.ts";
import { viewEnvironment, type EnvironmentView } from "../domain/environment/view.ts";
import { aRecord } from "../test/support/record.ts";
import { createListCache } from "./list-cache.ts";

const NOW = Date.parse("2030-01-01T00:00:00.000Z");
const ADMIN: Caller = { name: "root", role: "admin" };

/** An empty cache, with the number of records that it has rendered since. */
function emptyCache() {
  let rendered = 0;
  const list = createListCache((record, now) => {
    rendered++;
    return viewEnvironment(record, { baseDomain: "localhost", port: 80 }, now);
  });
  return {
    list: (...args: Parameters<typeof list>) => JSON.parse(list(...args).toString()) as EnvironmentView[],
    rendered: () => rendered,
  };
}

const endingIn = (ms: number, changes: Partial<EnvironmentRecord> = {}) =>
  aRecord({ expires_at: new Date(NOW + ms).toISOString(), ...changes });

test("callers who see the same records within 100 ms share one rendered list", () => {
  const { list, rendered } = emptyCache();
  const records = [endingIn(10_000)];
  const first = list(records, ADMIN, NOW);
  expect(first).toMatchObject([{ id: records[0]?.id, ttl_remaining: 10 }]);
  expect(list(records, { name: "vera", role: "viewer" }, NOW + 99)).toEqual(first);
  expect(rendered()).toBe(1);
});

test("a list is rendered anew after 100 ms, and when the clock is set back", () => {
  const { list } = emptyCache();
  const records = [endingIn(10_050)];
  expect(list(records, ADMIN, NOW)).toMatchObject([{ ttl_remaining: 11 }]);
  expect(list(records, ADMIN, NOW + 100)).toMatchObject([{ ttl_remaining: 10 }]);
  expect(list(records, ADMIN, NOW - 60_000)).toMatchObject([{ ttl_remaining: 71 }]);
});

test("a list is rendered anew when a record has changed", () => {
  const { list } = emptyCache();
  expect(list([endingIn(10_000)], ADMIN, NOW)).toHaveLength(1);
  expect(list([], ADMIN, NOW + 1)).toEqual([]);
});

test("a caller gets no list that was rendered for a caller with other rights", () => {
  const { list } = emptyCache();
  const records = ["ann", "bob", null].map((owner, index) => endingIn(10_000, { id: `env-a-${index}`, owner }));
  const ids = (caller: Caller) => list(records, caller, NOW).map(({ id }) => id);
  expect(ids(ADMIN)).toEqual(["env-a-0", "env-a-1", "env-a-2"]);
  expect(ids({ name: "ann", role: "member" })).toEqual(["env-a-0"]);
  expect(ids({ name: "bob", role: "member" })).toEqual(["env-a-1"]);
  // A token's role may change between two requests.
  expect(ids({ name: "ann", role: "viewer" })).toEqual(["env-a-0", "env-a-1", "env-a-2"]);
});
