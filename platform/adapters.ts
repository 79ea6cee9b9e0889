import { join, relative, resolve } from "node:path";
import type { Adapters } from "./compose.ts";
import { splitList, type Config } from "./config.ts";
import { createIdMaker } from "./domain/environment/ids.ts";
import { parseSubnet } from "./domain/network/subnets.ts";
import { createDiskSpace } from "./host/disk-space.ts";
import { createFirewallHeartbeat } from "./host/firewall-heartbeat-file.ts";
import { quotaOf, type Machine } from "./host/machine.ts";
import { machineRoutes } from "./host/routes.ts";
import { abortAfter } from "./kernel/abort-after.ts";
import { systemClock } from "./kernel/clock.ts";
import { createFailpoint } from "./kernel/failpoint.ts";
import { createIdleQueue } from "./kernel/idle-queue.ts";
import type { Logger } from "./kernel/logger.ts";
import { createEdgeProbe } from "./probes/edge-probe.ts";
import { createNginxRouter } from "./routing/nginx/nginx-router.ts";
import { createDiskArchiveStore } from "./store/archive/disk-archive-store.ts";
import { createDiskAuditLog } from "./store/journal/disk-audit-log.ts";
import { createDiskEventLog } from "./store/journal/disk-event-log.ts";
import { createDiskLogStore } from "./store/logs/disk-log-store.ts";
import { createDiskSecretStore } from "./store/secrets/disk-secret-store.ts";
import { createDiskEnvironmentStore } from "./store/state/disk-environment-store.ts";
import { failpointSaves } from "./store/state/failpoint-saves.ts";
import { openTokenFile } from "./store/tokens/token-file.ts";
import { createDiskPressure } from "./usecases/environments/disk-pressure.ts";
import { eventsWithOwners } from "./usecases/environments/events-with-owners.ts";
import type { Settings } from "./usecases/settings.ts";
import { createDockerEngine } from "./workloads/docker/docker-engine.ts";
import { createDockerWorkloads } from "./workloads/docker/docker-workloads.ts";
import { createNginxControl } from "./workloads/docker/nginx-control.ts";

/** A busy engine takes long to run `nginx -t`. */
const NGINX_TEST_LIMIT_MS = 30_000;
const NGINX_INTERNAL_PORT = 8081;
/**
 * How long after SIGTERM further steps may begin. The last of them, and the 15 s that a creation may still wait for
 * its first good check (usecases/health/health-gate.ts), fit into the rest of the 30 s.
 */
const SHUTDOWN_DEADLINE_MS = 10_000;

/** Makes the adapters of one platform from its configuration. Reads no state yet. */
export async function createAdapters(
  config: Config,
  machine: Machine,
  logger: Logger,
  stopping: AbortSignal,
): Promise<Adapters> {
  const { INSTANCE: instance, LOGS_DIR: logsDir, ENVS_DIR: envsDir, LOG_MAX_SIZE: maxSize } = config;
  const settings = settingsOf(config, machine);
  const shutdownDeadline = abortAfter(stopping, SHUTDOWN_DEADLINE_MS);
  const failpoint = createFailpoint(config.FAILPOINT_FILE);
  const idle = createIdleQueue(stopping);
  const environments = failpointSaves(createDiskEnvironmentStore({ folder: envsDir }), failpoint);
  const eventLog = await createDiskEventLog({ folder: logsDir, maxSize, logger });
  const events = eventsWithOwners(eventLog, environments);
  const disk = createDiskPressure({
    archives: createDiskArchiveStore({ folder: logsDir }),
    disk: createDiskSpace({ state: envsDir, logs: logsDir }),
    events,
    clock: systemClock,
    logger,
    settings,
  });
  const engine = createDockerEngine({
    cutOff: shutdownDeadline,
    socketPath: config.DOCKER_SOCKET,
    instance,
    timeoutMs: config.ENGINE_TIMEOUT * 1000,
    registries: splitList(config.IMAGE_REGISTRIES),
  });
  const edge = { container: `${instance}-nginx`, address: config.NGINX_ADDRESS };
  const internalUrl = `http://${config.NGINX_ADDRESS}:${NGINX_INTERNAL_PORT}`;
  const router = createNginxRouter({
    confDir: config.NGINX_CONF_DIR,
    internalUrl,
    deniedSubnets: [config.SUBNET_POOL],
    control: createNginxControl({
      container: edge.container,
      containers: engine.containers,
      testLimitMs: NGINX_TEST_LIMIT_MS,
      shutdownDeadline,
    }),
    logger,
    shutdownDeadline,
    onRejected: (file, reason) => events.emit({ type: "ingress.rejected", env_id: null, data: { file, reason } }),
    onRestarted(reason) {
      const steps = [`restart-container ${edge.container}`];
      events.emit({ type: "platform.repaired", env_id: null, data: { steps, reason } });
    },
  });
  return {
    instance,
    settings,
    workloads: createDockerWorkloads({
      engine,
      instance,
      edge,
      subnets: { range: parseSubnet(config.SUBNET_POOL), prefix: config.SUBNET_PREFIX },
      routes: machineRoutes,
      pool: { size: () => config.NETWORK_POOL_SIZE, idle, refusal: () => disk.shortage() },
      failpoint,
      logger,
    }),
    router,
    probe: createEdgeProbe({ internalUrl }),
    environments,
    logs: createDiskLogStore({ folder: logsDir, maxSize, shownAs: fromHere(logsDir) }),
    events,
    secrets: createDiskSecretStore({ folder: join(envsDir, "secrets") }),
    audit: createDiskAuditLog({ folder: logsDir, maxSize, logger }),
    tokens: config.API_TOKENS_FILE === "" ? null : await openTokenFile({ path: config.API_TOKENS_FILE, logger }),
    // Where compose puts it for the firewall's container, too.
    firewall: createFirewallHeartbeat(resolve(".cache/firewall", instance)),
    disk,
    clock: systemClock,
    logger,
    idle,
    makeId: createIdMaker(),
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
    publicAddress: { baseDomain: config.BASE_DOMAIN, port: config.NGINX_PORT },
    defaultImage: config.DEFAULT_IMAGE,
    stressImage: config.STRESS_IMAGE,
    defaultPort: config.DEFAULT_PORT,
    defaultTtl: config.DEFAULT_TTL,
    maxTtl: config.MAX_TTL,
    createTimeout: config.CREATE_TIMEOUT,
    defaultResources: { memory_mb: config.DEFAULT_MEMORY_MB, cpus: config.DEFAULT_CPUS, pids: config.DEFAULT_PIDS },
    quota: quotaOf(config, machine),
    warmPoolSize: config.WARM_POOL_SIZE,
    warmImages: splitList(config.WARM_IMAGES),
    healthTimeout: config.HEALTH_TIMEOUT,
    healthConcurrency: config.HEALTH_CONCURRENCY,
    minFreeDisk: config.MIN_FREE_DISK,
    archiveMaxAge: config.ARCHIVE_MAX_AGE,
    archiveMaxSize: config.ARCHIVE_MAX_SIZE,
  };
}
