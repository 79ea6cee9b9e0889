import type { z } from "zod";

/** A text of JSON as the schema has it; null when it is something else. */
export function parseAs<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
