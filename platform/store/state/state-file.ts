import { z } from "zod";
import { EnvironmentRecordSchema, RECORD_VERSION, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { MIGRATIONS, type Migration } from "../../domain/environment/migrations.ts";
import { parseAs } from "../files/parse-as.ts";

/** The record in a state file, or why it holds none. */
export type ParsedStateFile = { record: EnvironmentRecord } | { reason: string };

const VersionedSchema = z.looseObject({ version: z.int().nonnegative() });

/** Reads the text of an environment's state file and brings the record to the present version. Never throws. */
export function parseStateFile(id: string, text: string, migrations = MIGRATIONS): ParsedStateFile {
  if (!isEnvironmentId(id)) return { reason: "is not named after an environment" };
  const versioned = parseAs(VersionedSchema, text);
  if (versioned === null) return { reason: text.trim() === "" ? "is empty" : "is not a JSON object with a version" };
  const migrated = migrate(versioned, migrations);
  if (migrated === null)
    return { reason: `has version ${versioned.version}; this platform reads version ${RECORD_VERSION}` };
  const parsed = EnvironmentRecordSchema.safeParse(migrated);
  if (!parsed.success) return { reason: `is not a record: ${describeIssues(parsed.error)}` };
  if (parsed.data.id !== id) return { reason: `holds another environment, "${parsed.data.id}"` };
  return { record: parsed.data };
}

/**
 * The text of a record's state file. Throws `internal_error` when it could not be read again, a defect of the caller.
 */
export function formatStateFile(record: EnvironmentRecord): string {
  const text = `${JSON.stringify(record, null, 2)}\n`;
  const parsed = parseStateFile(record.id, text);
  if ("reason" in parsed)
    throw new PlatformError(
      "internal_error",
      `Cannot save environment "${record.id}": its state file ${parsed.reason}`,
    );
  return text;
}

function migrate(record: { version: number }, migrations: Readonly<Record<number, Migration>>): unknown {
  let current: { version: number } = record;
  while (current.version < RECORD_VERSION) {
    const migration = migrations[current.version];
    if (migration === undefined) return null;
    current = { ...migration(current), version: current.version + 1 };
  }
  return current.version === RECORD_VERSION ? current : null;
}

function describeIssues(error: z.ZodError): string {
  const [first, ...rest] = error.issues.map(({ path, message }) => `${path.join(".") || "record"}: ${message}`);
  return rest.length === 0 ? `${first}` : `${first} (and ${rest.length} more)`;
}
