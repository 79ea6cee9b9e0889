import { z } from "zod";
import { PlatformError } from "../../kernel/errors.ts";

/** Bounds a refusal, so that no answer is much larger than its request. */
const MAX_ERRORS = 20;
const MAX_TEXT = 200;

/** Parses input by a schema; `invalid_request` with the first 20 bad fields otherwise. `what` is such as "request body". */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown, what: string): z.infer<T> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const errors = issues.slice(0, MAX_ERRORS).map((issue) => ({
    path: shortened(issue.path.map(String).join(".")),
    message: shortened(messageOf(issue)),
  }));
  const told = errors.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  if (issues.length > MAX_ERRORS) told.push(`and ${issues.length - MAX_ERRORS} more`);
  throw new PlatformError("invalid_request", `Cannot accept the ${what}: ${told.join("; ")}`, { errors });
}

function messageOf(issue: z.core.$ZodIssue): string {
  // The reason why a key is refused is one level down.
  const [inner] = issue.code === "invalid_key" ? issue.issues : [];
  return inner?.message ?? issue.message;
}

/** A path and a message may both hold keys that the caller invented. */
function shortened(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)} …`;
}
