import { overlaps, readRange, type Subnet } from "../../domain/network/subnets.ts";

/** Ranges of the address pool that others use, as last seen: foreign networks and routes of the machine. */
export type TakenSubnets = { note(ranges: readonly string[]): void; has(subnet: Subnet): boolean };

/**
 * Nothing is known to be taken yet. `pool` is the range that subnets are cut from. A route that covers the whole pool,
 * such as a VPN's 10.0.0.0/8, takes nothing: the kernel prefers the more specific route, which is ours.
 */
export function createTakenSubnets(pool: Subnet): TakenSubnets {
  let taken: Subnet[] = [];
  return {
    note(ranges) {
      const read = ranges.map(readRange).filter((range) => range !== null);
      taken = read.filter((range) => range.prefix > pool.prefix && overlaps(range, pool));
    },
    has: (subnet) => taken.some((range) => overlaps(range, subnet)),
  };
}
