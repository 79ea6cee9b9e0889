import { inspect } from "node:util";
import { createLineMasker, createMasker, type Fragment } from "../../domain/secret-masking.ts";
import { PlatformError, describeError, isPlatformError } from "../../kernel/errors.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { SecretStore } from "../../store/secrets/secret-store.ts";

type SecretDeps = { environments: Pick<EnvironmentStore, "get">; secrets: Pick<SecretStore, "read"> };

/**
 * The secrets of an environment, which its containers get as environment variables. `storage_failed` when its record
 * says that it has some and they are gone: a container without them would only seem well.
 */
export async function secretsOf({ environments, secrets }: SecretDeps, id: string): Promise<Record<string, string>> {
  const names = environments.get(id)?.secrets ?? [];
  if (names.length === 0) return {};
  const values = await secrets.read(id);
  if (values !== null) return values;
  throw new PlatformError(
    "storage_failed",
    `Cannot find the secrets of environment "${id}": their file is gone. Destroy the environment and create it anew.`,
  );
}

/** Returns a function that masks an environment's secrets in the lines of one reading of a log. */
export async function lineMaskerOf<T extends Fragment>(deps: SecretDeps, id: string): Promise<(lines: T[]) => T[]> {
  return createLineMasker(Object.values(await secretsOf(deps, id)));
}

/**
 * The error as it is, or, where it holds a secret of the environment, one without. The engine's words about a container
 * may quote its environment variables; where the secrets cannot be read to look for them, the words are left out.
 */
export async function withoutSecrets(
  { environments, secrets }: SecretDeps,
  id: string,
  error: unknown,
): Promise<unknown> {
  if ((environments.get(id)?.secrets ?? []).length === 0) return error;
  const values = await secrets.read(id).catch(() => null);
  if (values !== null) return maskError(error, createMasker(Object.values(values)));
  // The disk's own error about the missing file quotes nothing.
  if (isPlatformError(error, "storage_failed")) return error;
  const code = isPlatformError(error) ? error.code : "internal_error";
  return new PlatformError(
    code,
    `Cannot change environment "${id}" (${code}): why is not told, since it may quote secrets that cannot be read and so not be masked.`,
  );
}

/** Returns the error itself, or, where it or its cause holds a secret, a masked error without a cause. */
export function maskError(error: unknown, mask: (text: string) => string): unknown {
  if (!textsOf(error).some((text) => mask(text) !== text)) return error;
  const message = mask(describeError(error));
  if (!isPlatformError(error)) return new Error(message);
  const { code, headers } = error;
  const errors = error.errors?.map(({ path, message: words }) => ({ path, message: mask(words) }));
  return new PlatformError(code, message, { headers, ...(errors === undefined ? {} : { errors }) });
}

/** All that a log line could show of an error: its words, its own fields, and those of what caused it. */
function textsOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)];
  const { message, stack = "", cause } = error;
  return [message, stack, fieldsOf(error), ...(cause === undefined ? [] : textsOf(cause))];
}

function fieldsOf(error: object): string {
  try {
    return JSON.stringify({ ...error });
  } catch {
    return inspect(error, { depth: 6 }); // an error that refers to itself is no JSON
  }
}
