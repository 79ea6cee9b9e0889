// Checks the settings as the platform would at its start: `make up` runs this before it starts anything.
import { realpath } from "node:fs/promises";
import { isAbsolute, relative } from "node:path";
import { stateDirOf } from "../platform/claim-instance.ts";
import { loadConfig } from "../platform/config.ts";
import { assertStateDir } from "../platform/store/state/state-dir-sentinel.ts";
import { readTokenFile } from "../platform/store/tokens/token-file.ts";

try {
  const config = loadConfig(process.env);
  if (config.API_TOKENS_FILE !== "") {
    await readTokenFile(config.API_TOKENS_FILE);
    await assertVisible(process.env["API_TOKENS_FILE"]?.trim() ?? "");
  }
  await assertStateDir(stateDirOf(config));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/** The API's container has only this folder of the machine: without its tokens file it would restart for ever. */
async function assertVisible(file: string): Promise<void> {
  const here = process.cwd();
  const inside = relative(here, await realpath(file));
  const isInside = !inside.startsWith("../") && !isAbsolute(inside);
  if (isInside && !isAbsolute(file)) return;
  const remedy = isInside
    ? `Set API_TOKENS_FILE=${inside}`
    : "Move it into this folder and set API_TOKENS_FILE=tokens.json, or make another one there (make token NAME=you ROLE=admin)";
  throw new Error(
    `Cannot start with these settings:\n  API_TOKENS_FILE is ${file}, which the API's container does not see: ` +
      `of this machine it has nothing but this folder (${here}). ${remedy}.\nSee .env.example.`,
  );
}
