import { PlatformError, describeError } from "../domain/errors.ts";
import { createLineRedactor, type Piece } from "../domain/redaction.ts";
import type { Context } from "./context.ts";

/**
 * The secrets of an environment, which its containers get as environment variables. `storage_failed`
 * when its record says that it has some and they are gone: a container without them would only seem well.
 */
export async function secretsOf(
  { environments, secrets }: Pick<Context, "environments" | "secrets">,
  id: string,
): Promise<Record<string, string>> {
  const names = environments.get(id)?.secrets ?? [];
  if (names.length === 0) return {};
  const values = await secrets.read(id);
  if (values !== null) return values;
  throw new PlatformError(
    "storage_failed",
    `Cannot find the secrets of environment "${id}": their file is gone. Destroy the environment and create it anew.`,
  );
}

/** What masks an environment's secrets in the lines of one reading of a log. */
export async function redactorOf<T extends Piece>(
  context: Pick<Context, "environments" | "secrets">,
  id: string,
): Promise<(lines: T[]) => T[]> {
  return createLineRedactor(Object.values(await secretsOf(context, id)));
}

/** The error as it is, or, where its message holds a secret, one without; that one has no cause, which would hold it too. */
export function redactError(error: unknown, redact: (text: string) => string): unknown {
  const message = describeError(error);
  const masked = redact(message);
  if (masked === message) return error;
  if (error instanceof PlatformError) {
    const { code, errors, headers } = error;
    return new PlatformError(code, masked, { headers, ...(errors === undefined ? {} : { errors }) });
  }
  return new Error(masked);
}
