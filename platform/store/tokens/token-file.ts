import { createHash, timingSafeEqual } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { z } from "zod";
import { RESERVED_NAMES, ROLES, type Caller } from "../../domain/access/caller.ts";
import { describeError } from "../../kernel/errors.ts";
import { errnoOf } from "../../kernel/atomic-file.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { TokenStore } from "./token-store.ts";

/** The file is looked at this often, for changes. */
const LOOK_EVERY_MS = 1_000;

/** Readable or writable by all, or writable by the group: every user who may write it can make a token. */
const TOO_OPEN = 0o026;

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

/** A token as the tokens file has it. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Reads a tokens file. Throws an Error that says what is wrong with its content or its mode. */
export async function readTokenFile(path: string): Promise<TokenFile> {
  let content: unknown;
  try {
    content = JSON.parse(await readPrivate(path));
  } catch (error) {
    if (error instanceof TooOpen) throw error;
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

class TooOpen extends Error {}

/** Asks the open file for its mode, so that it cannot be replaced in between. */
async function readPrivate(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { mode } = await file.stat();
    if ((mode & TOO_OPEN) === 0) return await file.readFile("utf8");
    const octal = (mode & 0o777).toString(8);
    throw new TooOpen(
      `Cannot use tokens file "${path}": others on this machine may read or change it (mode ${octal}). chmod 600 "${path}"`,
    );
  } finally {
    await file.close();
  }
}

/**
 * The tokens of a file, read again within a second when it changes. Throws when the file is bad at the start. One that
 * goes bad later is told to the logger and by `health`, and the tokens known until then stay valid, since an editor may
 * be saving it. Removing the file makes every token invalid.
 */
export async function openTokenFile({
  path,
  logger,
  lookEveryMs = LOOK_EVERY_MS,
}: {
  path: string;
  logger: Pick<Logger, "info" | "error">;
  lookEveryMs?: number;
}): Promise<TokenStore> {
  let version = await versionOf(path);
  let tokens = toLookup(await readTokenFile(path));
  let lookedAt = performance.now();
  let looking: Promise<void> | null = null;
  let trouble: string | null = null;

  async function look(): Promise<void> {
    const found = await versionOf(path);
    lookedAt = performance.now();
    if (found === version) return;
    version = found;
    try {
      tokens = toLookup(await readTokenFile(path));
      trouble = null;
      logger.info({ tokens: tokens.length }, "tokens file read again");
    } catch (error) {
      if (isGone(error)) {
        tokens = [];
        trouble = "the tokens file is gone: no token is valid";
      } else trouble = "the tokens file cannot be used: the tokens known before stay; the log says why";
      logger.error({ reason: describeError(error) }, trouble);
    }
  }

  async function lookIfDue(): Promise<void> {
    if (performance.now() - lookedAt < lookEveryMs) return;
    looking ??= look().finally(() => {
      looking = null;
    });
    await looking;
  }

  return {
    async identify(token) {
      await lookIfDue();
      return find(tokens, token);
    },
    async health() {
      await lookIfDue();
      return trouble === null ? { ok: true, detail: "the tokens file is in use" } : { ok: false, detail: trouble };
    },
  };
}

function isGone(error: unknown): boolean {
  const code = errnoOf((error as Error).cause);
  return code === "ENOENT" || code === "ENOTDIR";
}

type Lookup = { hash: Buffer; caller: Caller }[];

function toLookup({ tokens }: TokenFile): Lookup {
  return tokens.map(({ name, role, hash }) => ({ hash: Buffer.from(hash, "hex"), caller: { name, role } }));
}

/** Compares with every token, each in constant time, so that the time tells nothing about a token. */
function find(tokens: Lookup, token: string): Caller | null {
  const given = Buffer.from(hashToken(token), "hex");
  let found: Caller | null = null;
  for (const { hash, caller } of tokens) if (timingSafeEqual(hash, given)) found = caller;
  return found;
}

/** Changes whenever the file is written, replaced or gets another mode, and when it cannot be looked at any more. */
async function versionOf(path: string): Promise<string> {
  try {
    const { mtimeNs, ctimeNs, size, ino } = await stat(path, { bigint: true });
    return `${mtimeNs} ${ctimeNs} ${size} ${ino}`;
  } catch (error) {
    return `none: ${errnoOf(error)}`;
  }
}
