import { Writable } from "node:stream";
import { afterEach, beforeEach, expect } from "vitest";
import { composePlatform, type Platform } from "../../compose.ts";
import { createIdMaker } from "../../domain/environment/ids.ts";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { resolveSpec, type EnvironmentRequest } from "../../domain/environment/spec.ts";
import { parseSubnet } from "../../domain/network/subnets.ts";
import { httpDeps } from "../../http-deps.ts";
import { createApp, type AccessSettings } from "../../http/app.ts";
import type { Failpoint } from "../../kernel/failpoint.ts";
import { createIdleQueue } from "../../kernel/idle-queue.ts";
import { createLogger } from "../../kernel/logger.ts";
import { failpointSaves } from "../../store/state/failpoint-saves.ts";
import { createDiskPressure } from "../../usecases/environments/disk-pressure.ts";
import { eventsWithOwners } from "../../usecases/environments/events-with-owners.ts";
import type { Settings } from "../../usecases/settings.ts";
import { createDockerWorkloads } from "../../workloads/docker/docker-workloads.ts";
import { createFakeArchiveStore } from "../fakes/fake-archive-store.ts";
import { createFakeAuditLog } from "../fakes/fake-audit-log.ts";
import { createFakeClock } from "../fakes/fake-clock.ts";
import { createFakeDiskSpace } from "../fakes/fake-disk-space.ts";
import { createFakeEngine, type FakeEngine } from "../fakes/fake-engine.ts";
import { createFakeEnvironmentStore } from "../fakes/fake-environment-store.ts";
import { createFakeEventLog } from "../fakes/fake-event-log.ts";
import { createFakeFirewall } from "../fakes/fake-firewall.ts";
import { createFakeLogStore } from "../fakes/fake-log-store.ts";
import { createFakeProbe, type FakeProbe } from "../fakes/fake-probe.ts";
import { createFakeRouter } from "../fakes/fake-router.ts";
import { createFakeSecretStore } from "../fakes/fake-secret-store.ts";

export const INSTANCE = "sandbox";
export const DEMO_IMAGE = "demo:latest";
/** The pool that subnets are cut from: four environments. */
const SUBNET_POOL = "10.172.0.0/26";

/** How a test's platform differs from the usual one. */
export type FakePlatformOptions = {
  failpoint?: Failpoint;
  /** The platform that was killed before this one starts: its engine, Nginx and disk are still there. */
  killed?: FakePlatform;
};

/** A whole platform in memory, with its fakes and its clock at hand. */
export type FakePlatform = Platform &
  Fakes & {
    /** Aborting `stop` is what SIGTERM does; `timeUp` aborts when the time after that is over. */
    stop: AbortController;
    timeUp: AbortController;
    /** Creates an environment as a request would. */
    make(request?: EnvironmentRequest, options?: { key?: string; owner?: string }): Promise<EnvironmentRecord>;
  };

type Fakes = Awaited<ReturnType<typeof createFakes>>;

/** All that outlives a kill of the platform. */
async function createFakes(failpoint: Failpoint) {
  const clock = createFakeClock();
  const environments = failpointSaves(createFakeEnvironmentStore(), failpoint);
  return {
    engine: await createEngineWithNginx(),
    clock,
    environments,
    router: createFakeRouter(),
    probe: healthyUnlessSet(createFakeProbe()),
    logs: createFakeLogStore(),
    events: eventsWithOwners(createFakeEventLog(), environments),
    secrets: createFakeSecretStore(),
    audit: createFakeAuditLog(),
    firewall: createFakeFirewall(clock),
    archives: createFakeArchiveStore(),
    diskSpace: createFakeDiskSpace(),
    networkPoolSize: { now: 0 },
    ids: { make: createIdMaker() },
    /** Log lines go to this stream, and nowhere unless a test puts one here. */
    log: { to: null as Writable | null },
  };
}

/** Every environment is healthy unless a test says otherwise with `probe.set`. Settings may be changed at any time. */
export async function createFakePlatform({
  failpoint = () => {},
  killed,
}: FakePlatformOptions = {}): Promise<FakePlatform> {
  const fakes: Fakes = killed ?? (await createFakes(failpoint));
  const { engine, clock, events, archives, diskSpace, networkPoolSize, log, ids } = fakes;
  const sink = new Writable({ write: (chunk, _, done) => (log.to?.write(chunk), done()) });
  const logger = createLogger("debug", sink);
  const [stop, timeUp] = [new AbortController(), new AbortController()];
  const idle = createIdleQueue(stop.signal, { one: 100, several: 100 });
  const settings: Settings = killed?.settings ?? structuredClone(SETTINGS);
  const disk = createDiskPressure({ archives, disk: diskSpace, events, clock, logger, settings });
  const workloads = createDockerWorkloads({
    engine,
    instance: INSTANCE,
    edge: { container: `${INSTANCE}-nginx`, address: "10.171.0.2" },
    subnets: { range: parseSubnet(SUBNET_POOL), prefix: 28 },
    routes: async () => [],
    pool: { size: () => networkPoolSize.now, idle, refusal: () => disk.shortage() },
    failpoint,
    logger,
  });
  const { environments, router, probe, logs, secrets, audit, firewall } = fakes;
  const adapters = { workloads, router, probe, environments, logs, events, secrets, audit, firewall, disk, clock };
  const platform = composePlatform({
    ...adapters,
    instance: INSTANCE,
    settings,
    logger,
    idle,
    failpoint,
    tokens: null,
    makeId: (name, now) => ids.make(name, now),
    stopping: stop.signal,
    shutdownDeadline: timeUp.signal,
  });
  const make: FakePlatform["make"] = (request = {}, options = {}) =>
    platform.create(resolveSpec(request, settings), { ...options, request });
  return Object.assign({}, fakes, platform, { stop, timeUp, make });
}

const SETTINGS: Settings = {
  publicAddress: { baseDomain: "localhost", port: 80 },
  defaultImage: DEMO_IMAGE,
  stressImage: "sandbox-stress-ng:latest",
  defaultPort: 3000,
  defaultTtl: 1800,
  maxTtl: 86_400,
  createTimeout: 1,
  defaultResources: { memory_mb: 256, cpus: 1, pids: 256 },
  quota: { environments: 0, environmentsPerOwner: 0, memoryMb: 0, cpus: 0, pids: 0 },
  warmPoolSize: 0,
  warmImages: [],
  healthTimeout: 1,
  healthConcurrency: 256,
  minFreeDisk: 2 ** 30,
  archiveMaxAge: 604_800,
  archiveMaxSize: 2 ** 30,
};

/** The engine of a platform that is up: its network, Nginx, and the images. */
async function createEngineWithNginx(): Promise<FakeEngine> {
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
  return engine;
}

/** Gives every test of a file a fake platform of its own, handed to `use`, and stops what it started. */
export function useFakePlatform(use: (platform: FakePlatform) => void, options?: FakePlatformOptions): void {
  let current: FakePlatform;
  beforeEach(async () => {
    current = await createFakePlatform(options);
    use(current);
  });
  afterEach(async () => {
    current.stop.abort();
    await current.shippers.stopAll();
  });
}

/** The API on a fake platform; its loops are always well. */
export function createFakeApp(platform: Platform, access?: AccessSettings): ReturnType<typeof createApp> {
  const limits = { maxTtl: 86_400, maxCpus: 4, maxMemoryMb: 4096 };
  return createApp(
    httpDeps(platform, () => ({ ok: true, detail: "" })),
    limits,
    access,
  );
}

/** The name of the container of an environment's one service. */
export function containerOf(id: string): string {
  return `${INSTANCE}-${id}-app`;
}

/** Holds an environment's lock, as an operation in progress does, until the returned function is called. */
export function holdLock({ locks }: Pick<Platform, "locks">, id: string): () => Promise<void> {
  const held = Promise.withResolvers<void>();
  const operation = locks.run(id, () => held.promise);
  return () => (held.resolve(), operation);
}

/** Expects that of all environments neither objects, routes, records nor reserved networks are left. */
export async function expectNothingLeft({ engine, router, environments, workloads }: FakePlatform): Promise<void> {
  const { containers, networks } = await engine.observe();
  expect(containers.map(({ name }) => name)).toEqual([`${INSTANCE}-nginx`]);
  expect(networks.map(({ name }) => name)).toEqual([INSTANCE]);
  expect(await router.list()).toEqual([]);
  expect(environments.all()).toEqual([]);
  expect(workloads.capacity()).toEqual({ environments: 4 });
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
