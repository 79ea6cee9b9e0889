import { createHash, timingSafeEqual } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { RESERVED_NAMES, ROLES, type Caller } from "../domain/caller.ts";
import { describeError } from "../domain/errors.ts";
import type { Logger } from "../runtime/logger.ts";
import type { TokenBook } from "./store.ts";

/** How long a change of the file may go unnoticed. */
const LOOK_EVERY_MS = 1_000;

export const TokenNameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/,
    "must be letters, digits and . _ @ -, at most 63, beginning with a letter or digit",
  )
  .refine((name) => !RESERVED_NAMES.has(name), "is a name the platform uses itself");

const TokenSchema = z.strictObject({
  name: TokenNameSchema,
  role: z.enum(ROLES),
  /** SHA-256 of the token, hexadecimal. A fast hash is right: a random token of 256 bits cannot be guessed. */
  hash: z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in lower-case hexadecimal"),
  created_at: z.iso.datetime(),
});

/** The tokens file. One name may have several tokens, so that a new one can be handed out before the old one goes. */
export const TokenFileSchema = z.strictObject({ tokens: z.array(TokenSchema) });
export type TokenFile = z.infer<typeof TokenFileSchema>;

/** What the tokens file holds of a token. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Reads a tokens file; throws an Error that says what is wrong with it. */
export async function readTokenFile(path: string): Promise<TokenFile> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    const reason = error instanceof SyntaxError ? "it is not JSON" : describeError(error);
    throw new Error(`Cannot read tokens file "${path}": ${reason}. make token NAME=you ROLE=admin makes one.`, {
      cause: error,
    });
  }
  const parsed = TokenFileSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join(".") || "file"}: ${issue.message}`);
  throw new Error(`Cannot use tokens file "${path}": ${issues.join("; ")}.`);
}

/**
 * The tokens of a file, read again within a second when it changes. A file that is bad at the start
 * is thrown; one that goes bad later is told to the logger, and the tokens known until then stay.
 */
export async function openTokenFile({
  path,
  logger,
  lookEveryMs = LOOK_EVERY_MS,
}: {
  path: string;
  logger: Pick<Logger, "info" | "error">;
  lookEveryMs?: number;
}): Promise<TokenBook> {
  let version = await versionOf(path);
  let tokens = toLookup(await readTokenFile(path));
  let lookedAt = performance.now();
  let looking: Promise<void> | null = null;

  async function look(): Promise<void> {
    const found = await versionOf(path);
    lookedAt = performance.now();
    if (found === version) return;
    version = found;
    try {
      tokens = toLookup(await readTokenFile(path));
      logger.info({ tokens: tokens.length }, "tokens file read again");
    } catch (error) {
      logger.error({ reason: describeError(error) }, "tokens file is bad; the tokens known before stay");
    }
  }

  return {
    async identify(token) {
      if (performance.now() - lookedAt >= lookEveryMs) {
        looking ??= look().finally(() => {
          looking = null;
        });
        await looking;
      }
      return find(tokens, token);
    },
  };
}

type Lookup = { hash: Buffer; caller: Caller }[];

function toLookup({ tokens }: TokenFile): Lookup {
  return tokens.map(({ name, role, hash }) => ({ hash: Buffer.from(hash, "hex"), caller: { name, role } }));
}

/** Compares with every token, each in constant time: how long it takes tells nothing about what was nearly right. */
function find(tokens: Lookup, token: string): Caller | null {
  const given = Buffer.from(hashToken(token), "hex");
  let found: Caller | null = null;
  for (const { hash, caller } of tokens) if (timingSafeEqual(hash, given)) found = caller;
  return found;
}

/** Changes whenever the file is written or replaced; null when it cannot be looked at. */
async function versionOf(path: string): Promise<string | null> {
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    return `${mtimeNs} ${size} ${ino}`;
  } catch {
    return null;
  }
}
