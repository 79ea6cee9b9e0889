import { describeError, isPlatformError } from "../../kernel/errors.ts";
import type { ContainerFacts } from "../../workloads/docker/engine.ts";
import { delay } from "../../kernel/delay.ts";
import type { Context } from "../context.ts";
import { observeActual, type ActualState } from "./observe-environment.ts";

const ANSWER_LIMIT_MS = 5_000;
/** One that ends has been started four times by then: the engine waits 100 ms, 200 ms, 400 ms and so on. */
const ENDING_LIMIT_MS = 2_000;
const PAUSE_MS = 50;

/**
 * Gets Nginx's container going again: started where it does not run (an engine leaves alone what was
 * stopped or killed by hand), thawed, put back on the platform's own network. Returns the world after
 * that. One that is gone altogether only `make up` can make; that, and what fails here, is reported.
 */
export async function repairRouting(context: Context, world: ActualState): Promise<ActualState> {
  const { settings, events, logger } = context;
  const nginx = world.engine.containers.find(({ name }) => name === settings.nginxContainer);
  try {
    if (nginx === undefined) throw new Error("its container is gone; run `make up`, which makes it anew");
    const steps = await repair(context, nginx);
    if (steps.length === 0) return world;
    if (!(await answers(context)) && !(await rescue(context))) {
      // Told to stop while it waited, the platform knows nothing of Nginx.
      if (context.stopping.aborted) return world;
      throw new Error("it does not start, or does not answer; its log tells why: docker logs");
    }
    logger.warn({ steps }, "front door repaired");
    events.emit({ type: "platform.repaired", env_id: null, data: { steps } });
    return await observeActual(context);
  } catch (error) {
    const reason = `Cannot repair Nginx "${settings.nginxContainer}": ${describeError(error)}`;
    logger.error({ err: error }, "cannot repair the front door; trying again in a minute");
    events.emit({ type: "drift.unrepaired", env_id: null, data: { reason } });
    return world;
  }
}

/**
 * Whether Nginx answers once its files are put right; false where there was nothing to put right, or it was of no use and
 * all is back where it was.
 */
async function rescue(context: Context): Promise<boolean> {
  const { router, stopping } = context;
  if (stopping.aborted) return false;
  const found = await router.rescue(async () => {
    await start(context);
    return answers(context);
  });
  return found.length > 0;
}

async function repair(context: Context, nginx: ContainerFacts): Promise<string[]> {
  const { engine, settings } = context;
  const { instance, nginxContainer: name, nginxAddress } = settings;
  const steps: string[] = [];
  // One that does not run has no address yet: it will get the one that it was connected with.
  const address = nginx.networks[instance];
  if (address !== nginxAddress && address !== "") {
    await engine.networks.connect(instance, name, nginxAddress);
    steps.push(`connect-ingress ${instance}`);
  }
  if (nginx.state === "paused") {
    await engine.containers.unpause(name);
    steps.push(`unpause-container ${name}`);
  } else if (nginx.state !== "running") {
    steps.push(...(await start(context)), `start-container ${name}`);
  }
  return steps;
}

/** Starts it, also where a network went that it was on while it did not run. Returns what had to be done first. */
async function start({ engine, settings }: Context): Promise<string[]> {
  const { instance, nginxContainer: name } = settings;
  try {
    await engine.containers.start(name);
    return [];
  } catch (error) {
    if (!isPlatformError(error, "conflict")) throw error;
    const { containers, networks } = await engine.observe();
    const there = new Set(networks.map((network) => network.name));
    const known = Object.keys(containers.find((container) => container.name === name)?.networks ?? {});
    const gone = known.filter((network) => network.startsWith(`${instance}-`) && !there.has(network));
    if (gone.length === 0) throw error;
    for (const network of gone) await engine.networks.disconnect(network, name);
    await engine.containers.start(name);
    return gone.map((network) => `disconnect-ingress ${network}`);
  }
}

/** Waits for Nginx, as routes are put next; false when it takes too long, or ends again and again. */
async function answers({ engine, router, settings, stopping }: Context): Promise<boolean> {
  const started = performance.now();
  for (;;) {
    if ((await router.check()).ok) return true;
    const waited = performance.now() - started;
    if (stopping.aborted || waited >= ANSWER_LIMIT_MS) return false;
    if (waited >= ENDING_LIMIT_MS && (await engine.containers.inspect(settings.nginxContainer))?.state === "exited") {
      return false;
    }
    await delay(PAUSE_MS, stopping);
  }
}
