import { primaryService, type NetworkRecord } from "../../domain/environment/record.ts";
import { describeError } from "../../kernel/errors.ts";
import { preparedNetworkName } from "../../domain/environment/names.ts";
import { checkMachine, countToEvict } from "../../domain/access/quota.ts";
import { NOTHING, planSpare } from "../../domain/plan/plan.ts";
import { formatSubnet, networkPlaces, parseSubnet } from "../../domain/network/subnets.ts";
import { delay } from "../../kernel/delay.ts";
import { committed } from "../environments/admit.ts";
import { applySteps } from "../environments/apply-steps.ts";
import { awaitHealthy } from "../health/await-healthy.ts";
import type { Context, Spare } from "../context.ts";
import { draftRecord, resourcesOf, takeSubnet } from "../environments/draft-record.ts";
import { diskTrouble } from "../environments/disk-pressure.ts";
import { rollBack } from "../environments/roll-back.ts";

/** What is made ahead waits until nobody has wanted anything for so long: it must not slow down who does. */
const QUIET_MS = 250;
/** Of the subnets; the rest is left to those who ask. */
const SHARE_OF_SUBNETS = 0.5;
const NO_ROOM = "what is promised to environments leaves no room for more";

/**
 * Makes what is missing of networks and environments made ahead, in the background, one after the other while
 * nobody is being served. Called whenever something was taken, and every minute. Never throws.
 */
export function fillLater(context: Context): void {
  const { ahead, settings } = context;
  if (settings.networkPoolSize === 0 && settings.warmPoolSize === 0) return;
  ahead.filling ??= fill(context).finally(() => {
    ahead.filling = null;
  });
}

async function fill(context: Context): Promise<void> {
  const { ahead, stopping } = context;
  const failed = new Set<string>();
  for (;;) {
    // Whoever is being served calls again when that is done.
    await delay(QUIET_MS, stopping);
    if (stopping.aborted || isBusy(context)) return;
    await makeRoom(context);
    if (isShortOfSubnets(context)) return;
    const missing = nextMissing(context, failed);
    if (missing === null) {
      if (failed.size === 0) ahead.trouble = null;
      return;
    }
    if (missing.image !== null && !hasRoom(context)) {
      ahead.trouble = NO_ROOM;
      return;
    }
    try {
      const lack = await diskTrouble(context);
      // What room there is, is for those who have an environment.
      if (lack !== null) return void (ahead.trouble = lack);
      await (missing.image === null ? makeNetwork(context) : makeSpare(context, missing.image));
    } catch (error) {
      failed.add(missing.image ?? "");
      ahead.trouble = describeError(error);
      context.logger.warn({ ...missing, reason: ahead.trouble }, "cannot be made ahead; trying again in a minute");
    }
  }
}

function isBusy({ ongoing }: Context): boolean {
  return ongoing.creating.size > 0 || ongoing.destroying.size > 0 || ongoing.admitted.size > 0;
}

function isShortOfSubnets({ subnets }: Context): boolean {
  const { used, total } = subnets.usage();
  return used >= total * SHARE_OF_SUBNETS;
}

/** Whether the machine has room for one more environment made ahead, all that is promised and made ahead considered. */
function hasRoom(context: Context): boolean {
  const all = [...committed(context), ...unclaimed(context).map(({ record }) => record)];
  return checkMachine(all, resourcesOf(context, {}), context.settings.quota) === null;
}

/**
 * Throws away what was made ahead where it stands in the way of what is promised. Environments made ahead count against
 * no quota, and take what is not promised to anybody: once it is, its owner must find it there.
 */
export async function makeRoom(context: Context): Promise<void> {
  const spares = unclaimed(context);
  const records = spares.map(({ record }) => record);
  const inTheWay = spares.slice(0, countToEvict(committed(context), records, context.settings.quota));
  // One that is being made is looked at again when it is.
  await Promise.all(inTheWay.map((spare) => discardReady(context, spare)));
}

/** Those that are nobody's yet; the others count as what is promised. */
function unclaimed({ ahead, environments, ongoing }: Context): Spare[] {
  return ahead.spares.filter(({ record: { id } }) => environments.get(id) === null && !ongoing.admitted.has(id));
}

/** What to make next, networks first, since they take least; an `image` of null is a network. */
function nextMissing({ ahead, settings }: Context, failed: ReadonlySet<string>): { image: string | null } | null {
  if (ahead.networks.length < settings.networkPoolSize && !failed.has("")) return { image: null };
  const spare = (image: string) => ahead.spares.filter(({ record }) => primaryService(record).image === image).length;
  const image = warmImages({ settings }).find((name) => spare(name) < settings.warmPoolSize && !failed.has(name));
  return image === undefined ? null : { image };
}

/** The images of which environments are made ahead. */
export function warmImages({ settings }: Pick<Context, "settings">): string[] {
  return settings.warmPoolSize === 0 ? [] : [...new Set([settings.defaultImage, ...settings.warmImages])];
}

async function makeNetwork(context: Context): Promise<void> {
  const { ahead, settings } = context;
  const subnet = takeSubnet(context);
  const name = preparedNetworkName(settings.instance, formatSubnet(subnet));
  const network: NetworkRecord = { name, ...networkPlaces(subnet) };
  ahead.changing.add(name);
  try {
    await applySteps(
      [[{ kind: "create-network", env: "", network, egress: true }], [{ kind: "connect-ingress", env: "", network }]],
      context,
    );
    ahead.networks.push(network);
  } catch (error) {
    await discardNetwork(context, network);
    throw error;
  } finally {
    ahead.changing.delete(name);
  }
}

async function makeSpare(context: Context, image: string): Promise<void> {
  const { ahead, clock, engine, settings, stopping } = context;
  const facts = await engine.images.ensure(image, stopping);
  const record = draftRecord(
    context,
    { image, port: facts.ports[0] ?? settings.defaultPort },
    { owner: null, idempotency: null, resources: resourcesOf(context, {}) },
  );
  const spare: Spare = { record, imageId: facts.id, state: "making" };
  ahead.spares.push(spare);
  try {
    await applySteps(planSpare(record, NOTHING, clock.now()), context);
    const health = await awaitHealthy(context, record, { cancel: { signal: stopping }, died: new AbortController() });
    if (health?.result.ok !== true) throw new Error(health?.result.error ?? "the platform is shutting down");
    spare.state = "ready";
  } catch (error) {
    await discardSpare(context, spare);
    throw error;
  }
}

/** As discardSpare, where it is nobody's: whoever was given it meanwhile, or removes it already, has it. */
export async function discardReady(context: Context, spare: Spare): Promise<void> {
  if (spare.state === "ready") await discardSpare(context, spare);
}

/**
 * Takes down an environment made ahead, for whoever has it in hand. What cannot be removed now is an orphan, and the
 * reconciler's. Never throws.
 */
export async function discardSpare(context: Context, spare: Spare): Promise<void> {
  const { ahead } = context;
  spare.state = "leaving";
  await rollBack(context, spare.record, "an environment made ahead");
  ahead.spares = ahead.spares.filter((other) => other !== spare);
}

/** Removes a network made ahead that nobody has taken. As discardSpare. */
export async function discardNetwork(context: Context, network: NetworkRecord): Promise<void> {
  const { ahead, logger, subnets } = context;
  const { name } = network;
  ahead.networks = ahead.networks.filter((other) => other !== network);
  ahead.withoutIngress.delete(name);
  ahead.changing.add(name);
  try {
    await applySteps(
      [[{ kind: "disconnect-ingress", env: "", network: name }], [{ kind: "remove-network", env: "", network: name }]],
      context,
    );
  } catch (error) {
    logger.error({ err: error, network: name }, "cannot remove a network made ahead; the reconciler will");
  }
  subnets.free(parseSubnet(network.subnet));
  ahead.changing.delete(name);
}
