import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { aRecord } from "../../test/support/record.ts";
import { formatStateFile, parseStateFile } from "./state-file.ts";

test("parse reads the record that format wrote", () => {
  const record = aRecord({
    outage: { mode: "pause", service: "app", started_at: "2030-01-01T00:00:00.000Z", ends_at: null },
  });
  expect(parseStateFile(record.id, formatStateFile(record))).toEqual({ record });
});

test("a state file that a platform of version 1 wrote is read without its addresses", () => {
  const id = "env-old-file-mx1n5td5";
  const old = readFileSync(new URL("testdata/version-1.json", import.meta.url), "utf8");
  const parsed = parseStateFile(id, old);
  expect(parsed).toMatchObject({
    record: {
      version: 2,
      id,
      network: `sandbox-${id}`,
      services: [{ name: "app", container: `sandbox-${id}-app`, env: { GREETING: "hi" } }],
      secrets: ["DB_PASSWORD"],
      expires_at: "2026-11-30T09:33:15.882Z",
    },
  });
  expect(JSON.stringify(parsed)).not.toContain("10.172.0.");
});

test("a version without a migration is not read", () => {
  const old = JSON.stringify({ ...aRecord(), version: 0 });
  expect(parseStateFile(aRecord().id, old)).toEqual({ reason: "has version 0; this platform reads version 2" });
});

test("a __proto__ key in a file changes nothing", () => {
  const text = formatStateFile(aRecord()).replace("{", '{"__proto__":{"polluted":true},');
  expect(parseStateFile(aRecord().id, text)).toEqual({ record: aRecord() });
  expect({}).not.toHaveProperty("polluted");
});
