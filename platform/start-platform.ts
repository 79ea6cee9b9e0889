import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdapters } from "./adapters.ts";
import { claimInstance, stateDirOf } from "./claim-instance.ts";
import { composePlatform, type Platform } from "./compose.ts";
import { splitList, type Config } from "./config.ts";
import { isEnvironmentId } from "./domain/environment/ids.ts";
import { thisMachine } from "./host/machine.ts";
import { httpDeps } from "./http-deps.ts";
import { createApp } from "./http/app.ts";
import { startServer } from "./http/server.ts";
import { delay } from "./kernel/delay.ts";
import { describeError } from "./kernel/errors.ts";
import type { Logger } from "./kernel/logger.ts";
import { startLoops } from "./loops/start-loops.ts";
import { shutDown } from "./shut-down.ts";
import { claimStateDir } from "./store/state/state-dir-sentinel.ts";

/** How long the first reconcile may keep the API from answering. */
const START_LIMIT_MS = 10_000;

export type RunningPlatform = {
  /** Where the API listens. */
  url: string;
  /** Finishes the operations in progress, ends streams, closes files. */
  stop(): Promise<void>;
};

/**
 * Builds the platform from its configuration, reconciles once, starts the loops, then answers. It listens from the
 * start, so that it touches nothing where another platform runs or the address is taken; requests wait meanwhile. Once
 * `stopping` aborts it begins nothing new, also while it starts; `stop` ends it.
 */
export async function startPlatform(
  config: Config,
  logger: Logger,
  stopping: AbortController = new AbortController(),
): Promise<RunningPlatform> {
  const claim = await claimInstance(config);
  const ready = Promise.withResolvers<RequestListener>();
  const server = await listen(config, (...asked) => void ready.promise.then((app) => app(...asked)));
  const machine = thisMachine();
  const platform = composePlatform(await createAdapters(config, machine, logger, stopping.signal));
  const { events } = platform;
  await claimStateDir(stateDirOf(config));
  await loadState(platform);
  // An engine that hangs must not keep the API from telling so: it answers from memory meanwhile.
  await Promise.race([platform.tasks.track(firstReconcile(platform)), delay(START_LIMIT_MS, stopping.signal)]);

  const loops = startLoops(platform, {
    cleanup: config.CLEANUP_SCHEDULE,
    health: config.HEALTH_SCHEDULE,
    reconcile: config.RECONCILE_SCHEDULE,
    prune: config.PRUNE_SCHEDULE,
  });
  const limits = { maxTtl: config.MAX_TTL, maxCpus: machine.cpus, maxMemoryMb: machine.memoryMb };
  const access = {
    hosts: [config.PLATFORM_HOST, ...splitList(config.API_HOSTS)],
    trustedProxies: splitList(config.TRUSTED_PROXIES),
    rateLimit: config.RATE_LIMIT,
    changesLimit: config.CHANGES_LIMIT,
  };
  const deps = httpDeps(platform, () => loops.health());
  ready.resolve(createApp(deps, limits, access));
  const { port } = server.address() as AddressInfo;
  events.emit({ type: "platform.started", env_id: null, data: { instance: config.INSTANCE } });

  return {
    url: `http://${config.PLATFORM_HOST}:${port}`,
    async stop() {
      events.emit({ type: "platform.stopping", env_id: null });
      stopping.abort();
      await shutDown({ platform, server, loops, claim });
    },
  };
}

async function listen({ PLATFORM_HOST, PLATFORM_PORT }: Config, app: RequestListener): Promise<Server> {
  try {
    return await startServer(app, PLATFORM_HOST, PLATFORM_PORT);
  } catch (error) {
    throw new Error(
      `Cannot listen on ${PLATFORM_HOST}:${PLATFORM_PORT}: ${describeError(error)}. ` +
        `See what has that port (ss -ltnp) and stop it, or set PLATFORM_HOST and PLATFORM_PORT.`,
      { cause: error },
    );
  }
}

async function loadState({ environments, events, logger }: Platform): Promise<void> {
  const { loaded, quarantined } = await environments.load();
  for (const { file, reason } of quarantined) {
    logger.error({ file, reason }, "state file quarantined");
    const id = file.replace(/\.json$/, "");
    events.emit({ type: "state.quarantined", env_id: isEnvironmentId(id) ? id : null, data: { file, reason } });
  }
  logger.info({ environments: loaded }, "state loaded");
}

/** An engine that is down now must not keep the API from answering: the loop tries again every minute. */
async function firstReconcile({ reconcile, cleanupExpired, logger }: Platform): Promise<void> {
  try {
    const report = await reconcile({ startup: true });
    logger.info({ ...report }, "reconciled");
    await cleanupExpired();
  } catch (error) {
    logger.error({ err: error }, "cannot reconcile at start; trying again every minute");
  }
}
