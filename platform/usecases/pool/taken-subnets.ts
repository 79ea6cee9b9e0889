import { overlaps, readRange, type Subnet } from "../../domain/network/subnets.ts";
import type { Context } from "../context.ts";
import { networksInUse } from "../environments/ownership.ts";

/**
 * Notes which parts of the subnet pool something else uses, so that they are not handed out: networks of the engine
 * that are not ours, or ours and nobody's, as a killed platform leaves them, and the machine's routes. A route that covers the whole pool, such as a VPN's 10.0.0.0/8, takes
 * nothing: the kernel prefers the more specific one, which is ours. A range that cannot be read takes nothing either:
 * the engine refuses what overlaps it, and another one is tried.
 */
export async function noteTakenSubnets(context: Context): Promise<void> {
  const { engine, routes, settings, takenSubnets } = context;
  const before = networksInUse(context);
  const [{ networks }, foreign, routed] = await Promise.all([
    engine.observe(),
    engine.networks.foreignSubnets(),
    routes(),
  ]);
  // What was given up, or begun, while the engine answered is somebody's all the same.
  const inUse = new Set([settings.instance, ...before, ...networksInUse(context)]);
  const known = networks.filter(({ name }) => inUse.has(name));
  const ours = readRanges(known.map(({ subnet }) => subnet));
  const isOurs = (range: Subnet) => ours.some(({ base, prefix }) => base === range.base && prefix === range.prefix);
  const all = [...networks.map(({ subnet }) => subnet), ...foreign, ...routed];
  takenSubnets.note(readRanges(all).filter((range) => !isOurs(range)));
}

function readRanges(subnets: string[]): Subnet[] {
  return subnets.map(readRange).filter((range) => range !== null);
}

/** The ranges somebody else uses, as last seen. */
export type TakenSubnets = { note(ranges: Subnet[]): void; has(subnet: Subnet): boolean };

/** Nothing is known to be taken yet. `pool` is what subnets are handed out of. */
export function createTakenSubnets(pool: Subnet): TakenSubnets {
  let taken: Subnet[] = [];
  return {
    note(ranges) {
      taken = ranges.filter((range) => range.prefix > pool.prefix && overlaps(range, pool));
    },
    has: (subnet) => taken.some((range) => overlaps(range, subnet)),
  };
}
