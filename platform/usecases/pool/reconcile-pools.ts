import { primaryService, type NetworkRecord } from "../../domain/environment/record.ts";
import { describeError, isPlatformError } from "../../kernel/errors.ts";
import { planSpare } from "../../domain/plan/plan.ts";
import type { EngineEvent } from "../../workloads/docker/engine.ts";
import type { Context, Spare } from "../context.ts";
import { discardNetwork, discardReady, fillLater } from "./warm-pool.ts";
import { observedOf, type ActualState } from "../reconcile/observe-environment.ts";

/** What is ready, before the world is looked at: what becomes so later may not be in what is seen. */
export type ReadyAhead = { networks: NetworkRecord[]; spares: Spare[] };

export function readyAhead({ ahead }: Pick<Context, "ahead">): ReadyAhead {
  return { networks: [...ahead.networks], spares: ahead.spares.filter(({ state }) => state === "ready") };
}

/** Throws away what was made ahead and is not whole any more, or of an image that has changed, and has it made anew. */
export async function reviewAhead(
  context: Context,
  world: ActualState,
  { networks, spares }: ReadyAhead,
): Promise<void> {
  const { ahead } = context;
  for (const network of networks)
    if (ahead.networks.includes(network) && !isWhole(context, world, network)) await discardNetwork(context, network);
  for (const spare of spares)
    if (spare.state === "ready" && !(await isCurrent(context, world, spare))) await discardReady(context, spare);
  fillLater(context);
}

/** Something happened to a container made ahead: it is not what it was, so nobody gets it. */
export function onSpareTrouble(context: Context, env: string): void {
  const spare = context.ahead.spares.find(({ record, state }) => record.id === env && state === "ready");
  if (spare === undefined) return;
  void context.tasks.track(discardReady(context, spare)).then(() => fillLater(context));
}

/** Nginx joined or left a network: while it is not on one made ahead, nobody gets that. */
export function onIngressMoved({ ahead }: Pick<Context, "ahead">, { action, network }: EngineEvent): void {
  if (network === null || !ahead.networks.some(({ name }) => name === network)) return;
  if (action === "disconnect") ahead.withoutIngress.add(network);
  if (action === "connect") ahead.withoutIngress.delete(network);
}

function isWhole({ settings }: Context, world: ActualState, { name }: NetworkRecord): boolean {
  const nginx = world.engine.containers.find((container) => container.name === settings.nginxContainer);
  return nginx !== undefined && name in nginx.networks && world.engine.networks.some((found) => found.name === name);
}

async function isCurrent(context: Context, world: ActualState, { record, imageId }: Spare): Promise<boolean> {
  const observed = observedOf(record, world, context);
  if (planSpare(record, observed, context.clock.now()).length > 0) return false;
  const { image } = primaryService(record);
  try {
    return (await context.engine.images.ensure(image, context.stopping)).id === imageId;
  } catch (error) {
    if (isPlatformError(error, "image_not_found")) return false;
    // Nothing was found out, which is no reason to throw it away: whoever is to get it has its image compared again.
    context.logger.warn({ env_id: record.id, reason: describeError(error) }, "cannot look at the image of a spare");
    return true;
  }
}
