import { z } from "zod";
import { PlatformError } from "../../domain/errors.ts";

/** Parses input by a schema; `invalid_request` naming every bad field otherwise. `what` is such as "request body". */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown, what: string): z.infer<T> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map((issue) => ({
    path: issue.path.map(String).join("."),
    message: messageOf(issue),
  }));
  const summary = errors.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ");
  throw new PlatformError("invalid_request", `Cannot accept the ${what}: ${summary}`, { errors });
}

/** Of a key that is refused, the reason is one level down. */
function messageOf(issue: z.core.$ZodIssue): string {
  const [inner] = issue.code === "invalid_key" ? issue.issues : [];
  return inner?.message ?? issue.message;
}
