import { overlaps, parseSubnet, type Subnet } from "../domain/subnets.ts";
import type { Context } from "./context.ts";

/**
 * Notes which parts of the subnet pool something else uses, so that they are not handed out: networks of the engine
 * that are not ours, and the machine's routes. A route that covers the whole pool, such as a VPN's 10.0.0.0/8, takes
 * nothing: the kernel prefers the more specific one, which is ours.
 */
export async function noteTakenSubnets(context: Pick<Context, "engine" | "routes" | "takenSubnets">): Promise<void> {
  const { engine, routes, takenSubnets } = context;
  const [{ networks }, foreign, routed] = await Promise.all([
    engine.observe(),
    engine.networks.foreignSubnets(),
    routes(),
  ]);
  const ours = networks.map(({ subnet }) => parseSubnet(subnet));
  const isOurs = (range: Subnet) => ours.some(({ base, prefix }) => base === range.base && prefix === range.prefix);
  takenSubnets.note([...foreign, ...routed].map(parseSubnet).filter((range) => !isOurs(range)));
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
