/**
 * Adds an API token to the tokens file and shows it, once: `make token NAME= ROLE=`. It works on the file alone,
 * also while the platform is down, and therefore does not belong to platform/cli, which talks to the API.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { UsageError } from "../platform/cli/api.ts";
import { required } from "../platform/cli/parameters.ts";
import { ROLES, type Role } from "../platform/domain/access/caller.ts";
import { writeFileAtomic } from "../platform/kernel/atomic-file.ts";
import { TokenNameSchema, hashToken, readTokenFile } from "../platform/store/tokens/token-file.ts";

const ROOT = resolve(import.meta.dirname, "..");
const DEFAULT_FILE = "tokens.json";
const USAGE = `make token NAME=ann ROLE=${ROLES.join("|")}`;

async function makeToken(): Promise<void> {
  const name = TokenNameSchema.safeParse(required("NAME", USAGE));
  if (!name.success) throw new UsageError(`NAME ${name.error.issues[0]?.message ?? "is no name"}. ${USAGE}`);
  const role = asRole(required("ROLE", USAGE));
  const setting = process.env["API_TOKENS_FILE"] || "";
  const path = resolve(ROOT, setting || DEFAULT_FILE);
  const { tokens } = existsSync(path) ? await readTokenFile(path).catch(toUsageError) : { tokens: [] };
  const others = tokens.filter((token) => token.name === name.data);

  // 256 random bits; the prefix lets scanners of repositories and logs recognise a token.
  const token = `sbx_${randomBytes(32).toString("base64url")}`;
  const entry = { name: name.data, role, hash: hashToken(token), created_at: new Date().toISOString() };
  await writeFileAtomic(path, `${JSON.stringify({ tokens: [...tokens, entry] }, undefined, 2)}\n`, { mode: 0o600 });

  console.log(`Token of ${name.data}, ${role}. It is shown this once; ${relative(ROOT, path)} holds only its hash.\n`);
  console.log(`  ${token}\n`);
  console.log(`Use it       curl -H 'Authorization: Bearer <token>' …, or API_TOKEN=<token> in .env for make`);
  if (others.length > 0)
    console.log(
      `Note         ${name.data} has ${others.length + 1} tokens now; delete an old one from the file to revoke it`,
    );
  if (setting === "")
    console.log(`To do        API_TOKENS_FILE=${DEFAULT_FILE} in .env, then make up: until then no token is asked for`);
}

/** A file that cannot be read must not be overwritten. */
function toUsageError(error: unknown): never {
  throw new UsageError(error instanceof Error ? error.message : String(error));
}

function asRole(text: string): Role {
  const role = ROLES.find((candidate) => candidate === text);
  if (role === undefined) throw new UsageError(`ROLE=${text} is no role. ${USAGE}`);
  return role;
}

try {
  await makeToken();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
