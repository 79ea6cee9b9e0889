import { expect, test } from "vitest";
import { aRecord } from "../../test/support/record.ts";
import { formatStateFile, parseStateFile } from "./state-file.ts";

test("a record written is the record read", () => {
  const record = aRecord({
    outage: { mode: "pause", service: "app", started_at: "2030-01-01T00:00:00.000Z", ends_at: null },
  });
  expect(parseStateFile(record.id, formatStateFile(record))).toEqual({ record });
});

test("a record of an older version is brought to the present one by its migration", () => {
  const { name, ...rest } = aRecord();
  const old = JSON.stringify({ ...rest, version: 0, title: name });
  const migrations = { 0: ({ title, ...kept }: Record<string, unknown>) => ({ ...kept, name: title }) };
  expect(parseStateFile(rest.id, old, migrations)).toEqual({ record: aRecord() });
  expect(parseStateFile(rest.id, old, {})).toEqual({ reason: "has version 0; this platform reads version 1" });
});

test("prototype keys in a file change nothing", () => {
  const text = formatStateFile(aRecord()).replace("{", '{"__proto__":{"polluted":true},');
  expect(parseStateFile(aRecord().id, text)).toEqual({ record: aRecord() });
  expect({}).not.toHaveProperty("polluted");
});
