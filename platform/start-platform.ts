import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, relative, resolve } from "node:path";
import { claimInstance, stateDirOf } from "./claim-instance.ts";
import { splitList, type Config } from "./config.ts";
import { describeError } from "./kernel/errors.ts";
import { createIdMaker, isEnvironmentId } from "./domain/environment/ids.ts";
import { createSubnetAllocator, parseSubnet } from "./domain/network/subnets.ts";
import { createDockerEngine } from "./workloads/docker/docker-engine.ts";
import { createApp } from "./http/app.ts";
import { startServer } from "./http/server.ts";
import { createNginxRouter } from "./routing/nginx/nginx-router.ts";
import { startLoops } from "./loops/start-loops.ts";
import { quotaOf, thisMachine, type Machine } from "./host/machine.ts";
import { createNginxControl } from "./workloads/docker/nginx-control.ts";
import { createNginxDesk } from "./routing/nginx/nginx-desk.ts";
import { createEdgeProbe } from "./probes/edge-probe.ts";
import { abortAfter } from "./kernel/abort-after.ts";
import { systemClock } from "./kernel/clock.ts";
import { createFailpoint } from "./kernel/failpoint.ts";
import { delay } from "./kernel/delay.ts";
import { createKeyedLock } from "./kernel/keyed-lock.ts";
import type { Logger } from "./kernel/logger.ts";
import { machineRoutes } from "./host/routes.ts";
import { shutDown } from "./shut-down.ts";
import { createDiskArchiveStore } from "./store/archive/disk-archive-store.ts";
import { createDiskAuditLog } from "./store/journal/disk-audit-log.ts";
import { createDiskEnvironmentStore } from "./store/state/disk-environment-store.ts";
import { claimStateDir } from "./store/state/state-dir-sentinel.ts";
import { createDiskEventLog } from "./store/journal/disk-event-log.ts";
import { createDiskLogStore } from "./store/logs/disk-log-store.ts";
import { createDiskSecretStore } from "./store/secrets/disk-secret-store.ts";
import { createDiskSpace } from "./host/disk-space.ts";
import { createFirewallFolder } from "./host/firewall-heartbeat-file.ts";
import { openTokenFile } from "./store/tokens/token-file.ts";
import { failpointSaves } from "./usecases/failpoint-saves.ts";
import { cleanupExpired } from "./usecases/environments/cleanup-expired.ts";
import { nothingUnderWay, type Context, type Settings } from "./usecases/context.ts";
import { eventsWithOwners } from "./usecases/environments/events-with-owners.ts";
import { reconcile } from "./usecases/reconcile/reconcile.ts";
import { redactorOf } from "./usecases/environments/secrets-of.ts";
import { createLogShippers } from "./usecases/logs/ship-logs.ts";
import { createTakenSubnets } from "./usecases/pool/taken-subnets.ts";

/** A busy engine takes long to run `nginx -t`, and a busy machine to take a configuration up. */
const RELOAD_TIMEOUT_MS = 30_000;
const NGINX_INTERNAL_PORT = 8081;
/**
 * How long a shutdown begins further steps, and waits for Nginx and for copies. The last of them, and the 15 s that a creation may still wait for its
 * first good check (usecases/health/await-healthy.ts), fit into what is left of the 30 s.
 */
const CUT_OFF_MS = 10_000;
/** How long the first reconcile may keep the API from answering. */
const START_LIMIT_MS = 10_000;

export type RunningPlatform = {
  context: Context;
  /** Where the API listens. */
  url: string;
  /** Finishes what is under way, ends streams, closes files. */
  stop(): Promise<void>;
};

/**
 * Builds the platform from its configuration, reconciles once, starts the loops, then answers. It listens from the
 * start, so that nothing is touched where another one runs or the address is taken; who asks meanwhile waits. Once
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
  const context = await buildContext(config, machine, logger, stopping.signal);
  await claimStateDir(stateDirOf(config));
  await loadState(context);
  // Whoever asks is answered from memory meanwhile: an engine that hangs must not hide that it does.
  await Promise.race([context.tasks.track(firstReconcile(context)), delay(START_LIMIT_MS, stopping.signal)]);

  const loops = startLoops(context, {
    cleanup: config.CLEANUP_SCHEDULE,
    health: config.HEALTH_SCHEDULE,
    reconcile: config.RECONCILE_SCHEDULE,
    prune: config.PRUNE_SCHEDULE,
  });
  const limits = {
    maxTtl: config.MAX_TTL,
    maxCpus: machine.cpus,
    maxMemoryMb: machine.memoryMb,
  };
  const access = {
    hosts: [config.PLATFORM_HOST, ...splitList(config.API_HOSTS)],
    trustedProxies: splitList(config.TRUSTED_PROXIES),
    rateLimit: config.RATE_LIMIT,
    changesLimit: config.CHANGES_LIMIT,
  };
  ready.resolve(createApp(context, limits, () => loops.health(), access));
  const { port } = server.address() as AddressInfo;
  context.events.emit({ type: "platform.started", env_id: null, data: { instance: config.INSTANCE } });

  return {
    context,
    url: `http://${config.PLATFORM_HOST}:${port}`,
    async stop() {
      context.events.emit({ type: "platform.stopping", env_id: null });
      stopping.abort();
      await shutDown({ context, server, loops, claim });
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

async function buildContext(config: Config, machine: Machine, logger: Logger, stopping: AbortSignal): Promise<Context> {
  const shutdownDeadline = abortAfter(stopping, CUT_OFF_MS);
  const engine = createDockerEngine({
    cutOff: shutdownDeadline,
    socketPath: config.DOCKER_SOCKET,
    instance: config.INSTANCE,
    timeoutMs: config.ENGINE_TIMEOUT * 1000,
    registries: splitList(config.IMAGE_REGISTRIES),
  });
  const tokens = config.API_TOKENS_FILE === "" ? null : await openTokenFile({ path: config.API_TOKENS_FILE, logger });
  const settings = settingsOf(config, machine);
  const pool = parseSubnet(config.SUBNET_POOL);
  const takenSubnets = createTakenSubnets(pool);
  const failpoint = createFailpoint(config.CRASH_AT_FILE);
  const internalUrl = `http://${config.NGINX_ADDRESS}:${NGINX_INTERNAL_PORT}`;
  const events = await createDiskEventLog({ folder: config.LOGS_DIR, maxSize: config.LOG_MAX_SIZE, logger });
  const router = createNginxRouter({
    confDir: config.NGINX_CONF_DIR,
    internalUrl,
    deniedSubnets: [config.SUBNET_POOL],
    control: createNginxControl({
      container: settings.nginxContainer,
      containers: engine.containers,
      // Where compose puts it for Nginx's container.
      desk: createNginxDesk(resolve(".cache/nginx", config.INSTANCE)),
      testLimitMs: RELOAD_TIMEOUT_MS,
      cutOff: shutdownDeadline,
      logger,
    }),
    logger,
    reloadTimeoutMs: RELOAD_TIMEOUT_MS,
    cutOff: shutdownDeadline,
    onRejected: (file, reason) => events.emit({ type: "ingress.rejected", env_id: null, data: { file, reason } }),
    onRestarted(reason) {
      const steps = [`restart-container ${settings.nginxContainer}`];
      events.emit({ type: "platform.repaired", env_id: null, data: { steps, reason } });
    },
  });
  const shownAs = fromHere(config.LOGS_DIR);
  const logs = createDiskLogStore({ folder: config.LOGS_DIR, maxSize: config.LOG_MAX_SIZE, shownAs });
  const environments = failpointSaves(createDiskEnvironmentStore({ folder: config.ENVS_DIR }), failpoint);
  const secrets = createDiskSecretStore({ folder: join(config.ENVS_DIR, "secrets") });
  return {
    settings,
    clock: systemClock,
    logger,
    engine,
    router,
    probe: createEdgeProbe({ internalUrl }),
    environments,
    logs,
    archives: createDiskArchiveStore({ folder: config.LOGS_DIR }),
    disk: createDiskSpace({ state: config.ENVS_DIR, logs: config.LOGS_DIR }),
    // Where compose puts it for the firewall's container; in the API's own the project is its folder, too.
    firewall: createFirewallFolder(resolve(".cache/firewall", config.INSTANCE)),
    events: eventsWithOwners(events, environments),
    secrets,
    audit: createDiskAuditLog({ folder: config.LOGS_DIR, maxSize: config.LOG_MAX_SIZE, logger }),
    tokens,
    shippers: createLogShippers({
      engine,
      logs,
      logger,
      now: systemClock.now,
      redactorOf: (id) => redactorOf({ environments, secrets }, id),
    }),
    locks: createKeyedLock(),
    subnets: createSubnetAllocator(pool, config.SUBNET_PREFIX, takenSubnets.has),
    takenSubnets,
    routes: machineRoutes,
    makeId: createIdMaker(),
    ...nothingUnderWay(),
    failpoint,
    stopping,
    shutdownDeadline,
  };
}

/** A path as people give it: `logs`, or in full where it lies elsewhere. */
function fromHere(path: string): string {
  const inside = relative(process.cwd(), path);
  return inside === ".." || inside.startsWith("../") ? path : inside;
}

function settingsOf(config: Config, machine: Machine): Settings {
  return {
    instance: config.INSTANCE,
    publicAddress: { baseDomain: config.BASE_DOMAIN, port: config.NGINX_PORT },
    nginxContainer: `${config.INSTANCE}-nginx`,
    nginxAddress: config.NGINX_ADDRESS,
    defaultImage: config.DEFAULT_IMAGE,
    stressImage: config.STRESS_IMAGE,
    defaultPort: config.DEFAULT_PORT,
    defaultTtl: config.DEFAULT_TTL,
    maxTtl: config.MAX_TTL,
    createTimeout: config.CREATE_TIMEOUT,
    defaultResources: { memory_mb: config.DEFAULT_MEMORY_MB, cpus: config.DEFAULT_CPUS, pids: config.DEFAULT_PIDS },
    quota: quotaOf(config, machine),
    networkPoolSize: config.NETWORK_POOL_SIZE,
    warmPoolSize: config.WARM_POOL_SIZE,
    warmImages: splitList(config.WARM_IMAGES),
    healthTimeout: config.HEALTH_TIMEOUT,
    healthConcurrency: config.HEALTH_CONCURRENCY,
    minFreeDisk: config.MIN_FREE_DISK,
    archiveMaxAge: config.ARCHIVE_MAX_AGE,
    archiveMaxSize: config.ARCHIVE_MAX_SIZE,
  };
}

async function loadState({ environments, subnets, events, logger }: Context): Promise<void> {
  const { loaded, quarantined } = await environments.load();
  for (const record of environments.all()) subnets.claim(parseSubnet(record.network.subnet));
  for (const { file, reason } of quarantined) {
    logger.error({ file, reason }, "state file set aside");
    const id = file.replace(/\.json$/, "");
    events.emit({ type: "state.quarantined", env_id: isEnvironmentId(id) ? id : null, data: { file, reason } });
  }
  logger.info({ environments: loaded }, "state loaded");
}

/** An engine that is down now must not keep the platform from saying so: the loop tries again every minute. */
async function firstReconcile(context: Context): Promise<void> {
  try {
    const report = await reconcile(context, { startup: true });
    context.logger.info({ ...report }, "reconciled");
    await cleanupExpired(context);
  } catch (error) {
    context.logger.error({ err: error }, "cannot reconcile at start; trying again every minute");
  }
}
