import { afterEach, beforeEach } from "vitest";
import { createIdMaker } from "../../domain/environment/ids.ts";
import { createSubnetAllocator, parseSubnet } from "../../domain/network/subnets.ts";
import { createFakeEngine, type FakeEngine } from "../fakes/fake-engine.ts";
import { createApp, type AccessSettings } from "../../http/app.ts";
import { createFakeRouter, type FakeRouter } from "../fakes/fake-router.ts";
import { createFakeProbe, type FakeProbe } from "../fakes/fake-probe.ts";
import { createFakeClock } from "../../kernel/clock.ts";
import { createKeyedLock } from "../../kernel/keyed-lock.ts";
import { createLogger } from "../../kernel/logger.ts";
import { createFakeArchiveStore } from "../fakes/fake-archive-store.ts";
import { createFakeDiskSpace } from "../fakes/fake-disk-space.ts";
import { createFakeAuditLog } from "../fakes/fake-audit-log.ts";
import { createFakeEnvironmentStore } from "../fakes/fake-environment-store.ts";
import { createFakeEventLog } from "../fakes/fake-event-log.ts";
import { createFakeFirewall } from "../fakes/fake-firewall.ts";
import { createFakeLogStore } from "../fakes/fake-log-store.ts";
import { createFakeSecretStore } from "../fakes/fake-secret-store.ts";
import { failpointSaves, type Failpoint } from "../../usecases/failpoint-saves.ts";
import { nothingUnderWay, type Context } from "../../usecases/context.ts";
import { eventsWithOwners } from "../../usecases/environments/events-with-owners.ts";
import { redactorOf } from "../../usecases/environments/secrets-of.ts";
import { createLogShippers } from "../../usecases/logs/ship-logs.ts";
import { createTakenSubnets } from "../../usecases/pool/taken-subnets.ts";

export const INSTANCE = "sandbox";
export const DEMO_IMAGE = "demo:latest";

/** A whole platform in memory, with its fakes and its clock at hand. */
export type FakeContext = Context & {
  engine: FakeEngine;
  router: FakeRouter;
  probe: FakeProbe;
  clock: ReturnType<typeof createFakeClock>;
  environments: ReturnType<typeof createFakeEnvironmentStore>;
  events: ReturnType<typeof createFakeEventLog>;
  archives: ReturnType<typeof createFakeArchiveStore>;
  disk: ReturnType<typeof createFakeDiskSpace>;
  firewall: ReturnType<typeof createFakeFirewall>;
  secrets: ReturnType<typeof createFakeSecretStore>;
  audit: ReturnType<typeof createFakeAuditLog>;
  /** Aborting it is what SIGTERM does. */
  stop: AbortController;
  /** Aborting it is what the time does that passes after that. */
  timeUp: AbortController;
};

/** Every environment is healthy unless a test says otherwise with `probe.set`. `failpoint` is told every step boundary. */
export async function createFakeContext(failpoint: Failpoint = () => {}): Promise<FakeContext> {
  const engine = createFakeEngine({ instance: INSTANCE });
  engine.addImage(DEMO_IMAGE, [3000]);
  engine.addImage("sandbox-stress-ng:latest", []);
  await engine.networks.create({
    name: INSTANCE,
    subnet: "10.171.0.0/24",
    gateway: "10.171.0.1",
    labels: { "sandbox.platform": INSTANCE },
    internal: false,
  });
  await engine.containers.create({
    name: `${INSTANCE}-nginx`,
    image: DEMO_IMAGE,
    labels: { "sandbox.platform": INSTANCE, "sandbox.role": "nginx" },
    env: {},
    command: null,
    network: INSTANCE,
    address: "10.171.0.2",
    aliases: [],
    resources: { memory_mb: 64, cpus: 1, pids: 64 },
  });
  await engine.containers.start(`${INSTANCE}-nginx`);

  const clock = createFakeClock();
  const logger = createLogger("silent");
  const logs = createFakeLogStore();
  const [stop, timeUp] = [new AbortController(), new AbortController()];
  const environments = failpointSaves(createFakeEnvironmentStore(), failpoint);
  const secrets = createFakeSecretStore();
  const pool = parseSubnet("10.172.0.0/26");
  const takenSubnets = createTakenSubnets(pool);
  return {
    settings: {
      instance: INSTANCE,
      publicAddress: { baseDomain: "localhost", port: 80 },
      nginxContainer: `${INSTANCE}-nginx`,
      nginxAddress: "10.171.0.2",
      defaultImage: DEMO_IMAGE,
      stressImage: "sandbox-stress-ng:latest",
      defaultPort: 3000,
      defaultTtl: 1800,
      maxTtl: 86_400,
      createTimeout: 1,
      defaultResources: { memory_mb: 256, cpus: 1, pids: 256 },
      quota: { environments: 0, environmentsPerOwner: 0, memoryMb: 0, cpus: 0, pids: 0 },
      networkPoolSize: 0,
      warmPoolSize: 0,
      warmImages: [],
      healthTimeout: 1,
      healthConcurrency: 256,
      minFreeDisk: 2 ** 30,
      archiveMaxAge: 604_800,
      archiveMaxSize: 2 ** 30,
    },
    clock,
    logger,
    engine,
    router: createFakeRouter(),
    probe: healthyUnlessSet(createFakeProbe()),
    environments,
    logs,
    archives: createFakeArchiveStore(),
    disk: createFakeDiskSpace(),
    firewall: createFakeFirewall(clock),
    events: eventsWithOwners(createFakeEventLog(), environments),
    secrets,
    audit: createFakeAuditLog(),
    tokens: null,
    shippers: createLogShippers({
      engine,
      logs,
      logger,
      now: clock.now,
      redactorOf: (id) => redactorOf({ environments, secrets }, id),
    }),
    locks: createKeyedLock(),
    subnets: createSubnetAllocator(pool, 28, takenSubnets.has),
    takenSubnets,
    routes: async () => [],
    makeId: createIdMaker(),
    ...nothingUnderWay(),
    failpoint,
    stopping: stop.signal,
    shutdownDeadline: timeUp.signal,
    stop,
    timeUp,
  };
}

/** Gives every test of a file a fake context of its own, prepared by `use`, and stops what it started. */
export function useFakeContext(use: (context: FakeContext) => void): void {
  let current: FakeContext;
  beforeEach(async () => {
    current = await createFakeContext();
    use(current);
  });
  afterEach(async () => {
    current.stop.abort();
    await current.shippers.stopAll();
  });
}

/** The API on a fake context; its loops are always well. */
export function createFakeApp(context: Context, access?: AccessSettings): ReturnType<typeof createApp> {
  const limits = { maxTtl: 86_400, maxCpus: 4, maxMemoryMb: 4096 };
  return createApp(context, limits, () => ({ ok: true, detail: "" }), access);
}

function healthyUnlessSet(probe: FakeProbe): FakeProbe {
  const set = new Set<string>();
  return {
    ...probe,
    set(host, behaviour) {
      set.add(host);
      probe.set(host, behaviour);
    },
    async check(target) {
      if (!set.has(target.host)) probe.set(target.host, { status: 200 });
      return probe.check(target);
    },
  };
}
