import { describeError } from "../domain/errors.ts";
import type { ContainerFacts } from "../engine/engine.ts";
import { delay } from "../runtime/delay.ts";
import type { Context } from "./context.ts";
import { observeWorld, type World } from "./observe-environment.ts";

const ANSWER_LIMIT_MS = 5_000;
const PAUSE_MS = 50;

/**
 * Gets Nginx's container going again: started where it does not run (an engine leaves alone what was
 * stopped or killed by hand), thawed, put back on the platform's own network. Returns the world after
 * that. One that is gone altogether only `make up` can make; that, and what fails here, is reported.
 */
export async function repairFrontDoor(context: Context, world: World): Promise<World> {
  const { settings, events, logger } = context;
  const nginx = world.engine.containers.find(({ name }) => name === settings.nginxContainer);
  try {
    if (nginx === undefined) throw new Error("its container is gone; run `make up`, which makes it anew");
    const steps = await repair(context, nginx);
    if (steps.length === 0) return world;
    if (!(await answers(context)) && (await context.ingress.rescue()).length > 0) {
      await context.engine.containers.start(nginx.name);
      if (!(await answers(context))) throw new Error("it does not start; its log tells why: docker logs");
    }
    logger.warn({ steps }, "front door repaired");
    events.emit({ type: "platform.repaired", env_id: null, data: { steps } });
    return await observeWorld(context);
  } catch (error) {
    const reason = `Cannot repair Nginx "${settings.nginxContainer}": ${describeError(error)}`;
    logger.error({ err: error }, "cannot repair the front door; trying again in a minute");
    events.emit({ type: "drift.unrepaired", env_id: null, data: { reason } });
    return world;
  }
}

async function repair({ engine, settings }: Context, nginx: ContainerFacts): Promise<string[]> {
  const { instance, nginxContainer: name, nginxAddress } = settings;
  const steps: string[] = [];
  if (!(instance in nginx.networks)) {
    await engine.networks.connect(instance, name, nginxAddress);
    steps.push(`connect-ingress ${instance}`);
  }
  if (nginx.state === "paused") {
    await engine.containers.unpause(name);
    steps.push(`unpause-container ${name}`);
  } else if (nginx.state !== "running") {
    await engine.containers.start(name);
    steps.push(`start-container ${name}`);
  }
  return steps;
}

/** Waits for Nginx, as routes are put next; false when it takes too long. */
async function answers({ ingress, stopping }: Context): Promise<boolean> {
  const deadline = performance.now() + ANSWER_LIMIT_MS;
  while (!stopping.aborted && performance.now() < deadline) {
    if ((await ingress.check()).ok) return true;
    await delay(PAUSE_MS, stopping);
  }
  return false;
}
