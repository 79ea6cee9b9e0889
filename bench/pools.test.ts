import { expect, test } from "vitest";
import { areFull, readPools } from "./pools.ts";

const health = (detail: string) => ({ status: "ok", parts: { warm_pool: { ok: true, detail } } });

test("readPools reads both pools from the platform's health, with an error behind the counts or without", () => {
  const pools = readPools(health("1 of 2 environments and 4 of 4 networks are ready; the engine is slow"));
  expect(pools).toEqual({ environments: { ready: 1, wanted: 2 }, networks: { ready: 4, wanted: 4 } });
  expect(pools !== null && areFull(pools)).toBe(false);
  const full = readPools(health("0 of 0 environments and 4 of 4 networks are ready"));
  expect(full !== null && areFull(full)).toBe(true);
});

test("readPools returns null where the health does not report the pools", () => {
  expect(readPools({ status: "ok", parts: {} })).toBeNull();
  expect(readPools(health("well"))).toBeNull();
  expect(readPools(null)).toBeNull();
});
