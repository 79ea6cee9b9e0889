import type { NetworkRecord } from "../environment/record.ts";

/** An IPv4 range: first address and prefix length. */
export type Subnet = { base: number; prefix: number };

/** Parses `10.0.0.0/28`. Throws a RangeError when it is not a network address. */
export function parseSubnet(cidr: string): Subnet {
  const [address = "", length = ""] = cidr.split("/");
  const prefix = Number(length);
  const base = parseAddress(address);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > 32 || length === "")
    throw new RangeError(`Cannot read subnet "${cidr}": no prefix length`);
  if (base % sizeOf(prefix) !== 0) throw new RangeError(`Cannot use subnet "${cidr}": host bits are set`);
  return { base, prefix };
}

/**
 * The range that somebody else's network or route covers, host bits masked: `172.20.0.1/16` is good enough for an
 * engine. Null for what is no IPv4 range at all, of which nothing of ours can be part.
 */
export function readRange(cidr: string): Subnet | null {
  try {
    const [address = "", length = ""] = cidr.split("/");
    const base = parseAddress(address);
    return parseSubnet(`${formatAddress(base - (base % sizeOf(Number(length))))}/${length}`);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** The dotted address as a number of 32 bits. */
export function parseAddress(address: string): number {
  const parts = address.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) {
    throw new RangeError(`Cannot read address "${address}": not IPv4`);
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.base)}/${subnet.prefix}`;
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + sizeOf(b.prefix) && b.base < a.base + sizeOf(a.prefix);
}

/** Addresses in a subnet of this prefix length. */
export function sizeOf(prefix: number): number {
  return 2 ** (32 - prefix);
}

/** How many subnets of `prefix` bits `pool` holds. */
export function capacity(pool: Subnet, prefix: number): number {
  return Math.max(0, sizeOf(pool.prefix) / sizeOf(prefix));
}

/**
 * Hands out subnets of a pool. Reuses the longest-freed one first, so that stale connections and
 * caches meet a new tenant as late as possible; never one that overlaps `taken`.
 */
export type SubnetAllocator = {
  /** A free subnet, or null when the pool is used up. */
  take(): Subnet | null;
  /** Marks a subnet as in use, as found at start; ignored when outside the pool. */
  claim(subnet: Subnet): void;
  /** Returns a subnet to the pool. */
  free(subnet: Subnet): void;
  /** Subnets in use and in all. */
  usage(): { used: number; total: number };
};

/** An allocator over `pool` in slices of `prefix` bits. `isTaken` says whether a range is used by something else (a route, a foreign network). */
export function createSubnetAllocator(
  pool: Subnet,
  prefix: number,
  isTaken: (subnet: Subnet) => boolean = () => false,
): SubnetAllocator {
  const total = capacity(pool, prefix);
  const used = new Set<number>();
  const freed: number[] = [];
  let next = 0;
  const at = (index: number): Subnet => ({ base: pool.base + index * sizeOf(prefix), prefix });
  const indexOf = (subnet: Subnet): number => (subnet.base - pool.base) / sizeOf(prefix);
  const isSlice = (index: number): boolean => Number.isInteger(index) && index >= 0 && index < total;

  return {
    take() {
      for (; next < total; next++) {
        if (used.has(next)) continue;
        if (isTaken(at(next))) {
          freed.push(next);
          continue;
        }
        used.add(next);
        return at(next++);
      }
      for (let tries = freed.length; tries > 0; tries--) {
        const index = freed.shift();
        if (index === undefined) break;
        if (used.has(index)) continue;
        if (isTaken(at(index))) {
          freed.push(index);
          continue;
        }
        used.add(index);
        return at(index);
      }
      return null;
    },
    claim(subnet) {
      if (isSlice(indexOf(subnet))) used.add(indexOf(subnet));
    },
    free(subnet) {
      const index = indexOf(subnet);
      if (isSlice(index) && used.delete(index) && index < next) freed.push(index);
    },
    usage: () => ({ used: used.size, total }),
  };
}

/** How many addresses a subnet loses to the network itself, its gateway, Nginx and broadcast. */
const FIRST_SERVICE_OFFSET = 3;

/** The fixed places in an environment's subnet: gateway .1, Nginx .2. */
export function networkPlaces(subnet: Subnet): Omit<NetworkRecord, "name"> {
  return {
    subnet: formatSubnet(subnet),
    gateway: formatAddress(subnet.base + 1),
    ingress_address: formatAddress(subnet.base + 2),
  };
}

/** The address of the environment's n-th service, from 0. */
export function serviceAddress(subnet: Subnet, index: number): string {
  return formatAddress(subnet.base + FIRST_SERVICE_OFFSET + index);
}
