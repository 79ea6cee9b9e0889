import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const ROOT = resolve(import.meta.dirname, "../../..");

/** Runs `make token` as a user does, and returns the token that it printed. */
export async function makeToken(file: string, name: string, role: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, "scripts/make-token.ts")], {
    env: { ...process.env, API_TOKENS_FILE: file, NAME: name, ROLE: role },
  });
  return /^ {2}(sbx_[\w-]{43})$/m.exec(stdout)?.[1] ?? "";
}
