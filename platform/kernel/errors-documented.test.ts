import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CATALOGUE, PlatformError } from "./errors.ts";
import { EVENT_TYPES } from "../domain/events.ts";

const api = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");

test("docs/api.md lists every error code with its status, and no other", () => {
  const documented = [...api.matchAll(/^\| (\d{3}) \| `(\w+)` \|/gm)].map(([, status, code]) => `${status} ${code}`);
  const catalogued = Object.entries(CATALOGUE).map(([code, { status }]) => `${status} ${code}`);
  expect(documented.toSorted()).toEqual(catalogued.toSorted());
});

test("docs/api.md names every event type", () => {
  expect(EVENT_TYPES.filter((type) => !api.includes(`\`${type}\``))).toEqual([]);
});

test("a PlatformError has the status and title of its code, and keeps its cause", () => {
  const cause = new Error("why");
  const error = new PlatformError("conflict", "Cannot do it: not now", { cause });
  expect(error).toMatchObject({
    status: 409,
    title: "Conflicts with the present state",
    message: "Cannot do it: not now",
    cause,
  });
});
