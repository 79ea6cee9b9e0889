import { OUTAGE_MODES, type OutageMode } from "../../domain/environment/record.ts";
import type { Failpoint } from "../../kernel/failpoint.ts";
import { createFakePlatform, DEMO_IMAGE, INSTANCE } from "./fake-platform.ts";

/** What a scenario can do, on the platform in memory and on the real one alike. */
export type Operations = {
  create(): Promise<unknown>;
  /** Creates an environment whose container exits at once, so that the creation is undone. */
  createDying(): Promise<unknown>;
  destroy(id: string): Promise<unknown>;
  outage(id: string, mode: OutageMode): Promise<unknown>;
  recover(id: string): Promise<unknown>;
  extend(id: string): Promise<unknown>;
  halt(): Promise<unknown>;
  /** The network of the environment is removed, while its container stays. */
  loseNetwork(id: string): Promise<unknown>;
  /** The platform is killed while creating an environment, and its container is lost meanwhile. */
  dieCreating(): Promise<unknown>;
  dieDestroying(id: string): Promise<unknown>;
  dieAndLoseContainer(id: string): Promise<unknown>;
  /** The platform is killed, and the environment has expired when it starts again. */
  dieAndExpire(id: string): Promise<unknown>;
  /** An outage that ends by itself in a moment. */
  briefOutage(id: string, mode: OutageMode): Promise<unknown>;
  /** Waits for that end. */
  outageEnds(id: string): Promise<unknown>;
  /** Starts the platform again, to its first reconcile. */
  start(): Promise<unknown>;
};

/** The platform is killed in `act`, after `prepare`. A `living` scenario has an environment to work on. */
export type Scenario = {
  name: string;
  living: boolean;
  /** A scenario with the same failpoints at first, which are tried there. */
  beginsAs?: string;
  prepare?(operations: Operations, id: string): Promise<unknown>;
  act(operations: Operations, id: string): Promise<unknown>;
};

/** Every use-case that changes something, with each way it can go. */
const SCENARIOS: Scenario[] = [
  { name: "create", living: false, act: (platform) => platform.create() },
  { name: "create that fails", living: false, beginsAs: "create", act: (platform) => platform.createDying() },
  ...OUTAGE_MODES.map((mode) => ({
    name: `${mode} outage`,
    living: true,
    act: (platform: Operations, id: string) => platform.outage(id, mode),
  })),
  ...OUTAGE_MODES.map((mode) => ({
    name: `recovery from ${mode}`,
    living: true,
    prepare: (platform: Operations, id: string) => platform.outage(id, mode),
    act: (platform: Operations, id: string) => platform.recover(id),
  })),
  {
    name: "recovery of what lost its network",
    living: true,
    prepare: (platform, id) => platform.loseNetwork(id),
    act: (platform, id) => platform.recover(id),
  },
  {
    name: "halt",
    living: true,
    prepare: (platform, id) => platform.outage(id, "pause"),
    act: (platform) => platform.halt(),
  },
  { name: "extend", living: true, act: (platform, id) => platform.extend(id) },
  {
    name: "repair at start",
    living: true,
    prepare: (platform, id) => platform.dieAndLoseContainer(id),
    act: (platform) => platform.start(),
  },
  {
    name: "undoing a creation at start",
    living: false,
    prepare: (platform) => platform.dieCreating(),
    act: (platform) => platform.start(),
  },
  {
    name: "finishing a destruction at start",
    living: true,
    prepare: (platform, id) => platform.dieDestroying(id),
    act: (platform) => platform.start(),
  },
  {
    name: "expiry",
    living: true,
    prepare: (platform, id) => platform.dieAndExpire(id),
    act: (platform) => platform.start(),
  },
  {
    name: "end of stress in time",
    living: true,
    prepare: (platform, id) => platform.briefOutage(id, "stress"),
    act: (platform, id) => platform.outageEnds(id),
  },
  { name: "destroy", living: true, act: (platform, id) => platform.destroy(id) },
];

/**
 * Every scenario with the failpoints it passes, in order, as FAILPOINT_FILE names them, found by running
 * it on the platform in memory. The end of one effect and the beginning of the next, with nothing
 * between them, are one place to die at, named for the latter.
 */
export async function findFailpoints(): Promise<{ scenario: Scenario; failpoints: string[] }[]> {
  const found = await Promise.all(
    SCENARIOS.map(async (scenario) => ({ scenario, failpoints: await failpointsOf(scenario) })),
  );
  return found.map(({ scenario, failpoints }) => {
    const former = found.find(({ scenario: { name } }) => name === scenario.beginsAs)?.failpoints ?? [];
    const parting = failpoints.findIndex((failpoint, index) => failpoint !== former[index]);
    return { scenario, failpoints: failpoints.slice(parting) };
  });
}

async function failpointsOf(scenario: Scenario): Promise<string[]> {
  const passed: string[] = [];
  const { platform, operations, dispose } = await createOperations((failpoint) => passed.push(failpoint));
  try {
    if (scenario.living) await operations.create();
    const id = platform.environments.all()[0]?.id ?? "";
    await scenario.prepare?.(operations, id);
    passed.length = 0;
    await scenario.act(operations, id).catch(() => {}); // the one that fails is meant to
    return numbered(passed);
  } finally {
    await dispose();
  }
}

/** Failpoints as FAILPOINT_FILE names them: `#2` for the second time; an effect's end at which the next begins is left out. */
export function numbered(passed: string[]): string[] {
  const times = new Map<string, number>();
  return passed
    .map((failpoint) => {
      const count = (times.get(failpoint) ?? 0) + 1;
      times.set(failpoint, count);
      return count === 1 ? failpoint : `${failpoint}#${count}`;
    })
    .filter((failpoint, index) => !(failpoint.startsWith("after:") && passed[index + 1]?.startsWith("before:")));
}

/** What every environment of a scenario is created with: it has a file of its own to be left behind. */
export const SECRETS = { PASSWORD: "crash-and-burn" };

/** Seconds of an outage that is over soon, and not before the platform was told where to die. */
export const BRIEF_S = 2;

const DYING_IMAGE = "dying:latest";

async function createOperations(failpoint: Failpoint) {
  const platform = await createFakePlatform({ failpoint });
  const { engine, environments, probe, settings } = platform;
  settings.createTimeout = 5;
  engine.addImage(DYING_IMAGE, [3000], { exitCode: 1 });
  const container = (id: string) => environments.get(id)?.services[0]?.container ?? "";
  const setStatus = async (status: "creating" | "destroying") => {
    for (const record of environments.all()) await environments.save({ ...record, status });
  };
  const create = () => platform.make({ image: DEMO_IMAGE, secrets: SECRETS });
  const operations: Operations = {
    create,
    async createDying() {
      const check = probe.check;
      probe.check = async (target) => ({ ...(await check(target)), ok: false });
      await platform.make({ image: DYING_IMAGE, secrets: SECRETS });
    },
    destroy: (id) => platform.destroy(id),
    outage: (id, mode) => platform.injectOutage(id, { mode }),
    recover: (id) => platform.recover(id),
    extend: (id) => platform.extend(id, 60),
    halt: () => platform.halt(),
    async loseNetwork(id) {
      const network = environments.get(id)?.network ?? "";
      for (const name of [container(id), `${INSTANCE}-nginx`]) await engine.networks.disconnect(network, name);
      engine.removeBehindOurBack(network);
    },
    async dieCreating() {
      await create();
      await setStatus("creating");
    },
    dieDestroying: () => setStatus("destroying"),
    dieAndLoseContainer: async (id) => engine.removeBehindOurBack(container(id)),
    dieAndExpire: async () => platform.clock.advance(settings.defaultTtl * 1000),
    briefOutage: (id, mode) => platform.injectOutage(id, { mode, duration: BRIEF_S }),
    async outageEnds() {
      platform.clock.advance(BRIEF_S * 1000);
      await platform.endOutages();
    },
    async start() {
      await platform.reconcile({ startup: true });
      await platform.cleanupExpired();
    },
  };
  return {
    platform,
    operations,
    async dispose() {
      platform.stop.abort();
      await platform.shippers.stopAll();
    },
  };
}
