import { flushCompileCache } from "node:module";
import { loadConfig } from "./config.ts";
import { createLogger } from "./kernel/logger.ts";
import { startPlatform } from "./start-platform.ts";

const SHUTDOWN_LIMIT_MS = 30_000;
const MIN_NODE_MAJOR = 24;

/**
 * Starts the platform and ends it in order on SIGTERM or SIGINT: exit 0 when all is closed, 1 when it took too long or
 * could not start.
 */
async function main(): Promise<void> {
  const { node } = process.versions;
  if (Number(node.split(".")[0]) < MIN_NODE_MAJOR) {
    const remedy = `Node ${MIN_NODE_MAJOR} is needed. Use "npm run dev" or "make up", which bring it.`;
    throw new Error(`Cannot start with Node ${node}: ${remedy}`);
  }
  const config = loadConfig(process.env);
  const logger = createLogger(config.LOG_LEVEL);
  const stopping = new AbortController();
  const starting = startPlatform(config, logger, stopping);

  async function shutDown(signal: string): Promise<void> {
    // A terminal and the shell in it may both pass one Ctrl-C on: the second must not cut the shutdown short.
    if (stopping.signal.aborted) {
      logger.warn({ signal }, "already shutting down: finishing what is under way takes at most 30 s");
      return;
    }
    logger.info({ signal }, "shutting down");
    stopping.abort();
    setTimeout(() => {
      logger.error("shutdown took too long");
      process.exit(1);
    }, SHUTDOWN_LIMIT_MS).unref();
    try {
      await (await starting).stop();
      process.exit(0);
    } catch (error) {
      logger.error({ err: error }, "shutdown failed");
      process.exit(1);
    }
  }
  process.on("SIGTERM", shutDown).on("SIGINT", shutDown);

  const { url } = await starting;
  logger.info({ url, instance: config.INSTANCE }, "platform up");
  // A platform that is killed would not write the cache.
  flushCompileCache();
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
