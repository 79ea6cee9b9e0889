// Says what the platform would say of its settings, without starting it: `make up` asks before it starts anything.
import { loadConfig } from "../platform/config.ts";
import { readTokenFile } from "../platform/store/token-file.ts";

try {
  const config = loadConfig(process.env);
  if (config.API_TOKENS_FILE !== "") await readTokenFile(config.API_TOKENS_FILE);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
