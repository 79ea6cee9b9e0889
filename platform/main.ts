import { flushCompileCache } from "node:module";
import { loadConfig } from "./config.ts";
import { createLogger } from "./kernel/logger.ts";
import { startPlatform } from "./start-platform.ts";

const SHUTDOWN_LIMIT_MS = 30_000;
const MIN_NODE_MAJOR = 24;

/** Starts the platform and ends it in order on SIGTERM or SIGINT: exit 0 when all is closed, 1 when it took too long or could not start. */
async function main(): Promise<void> {
  if (Number(process.versions.node.split(".")[0]) < MIN_NODE_MAJOR) {
    throw new Error(
      `Cannot start with Node ${process.versions.node}: Node ${MIN_NODE_MAJOR} is needed. Use "npm run dev" or "make up", which bring it.`,
    );
  }
  const config = loadConfig(process.env);
  const logger = createLogger(config.LOG_LEVEL);
  const stopping = new AbortController();
  const starting = startPlatform(config, logger, stopping);

  const shutDown = (signal: string): void => {
    // A terminal and what runs in it may both hand one Ctrl-C on: what has begun to end must not be cut off by that.
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
    starting
      .then((platform) => platform.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error({ err: error }, "shutdown failed");
          process.exit(1);
        },
      );
  };
  process.on("SIGTERM", shutDown).on("SIGINT", shutDown);

  const { url } = await starting;
  logger.info({ url, instance: config.INSTANCE }, "platform up");
  // Else only an end in good order would leave it to the next start.
  flushCompileCache();
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
