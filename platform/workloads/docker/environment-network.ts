import { formatAddress, formatSubnet, parseSubnet, type Subnet } from "../../domain/network/subnets.ts";

/** A Docker network for one environment: gateway .1, Nginx .2, services from .3 on. */
export type EnvironmentNetwork = {
  name: string;
  /** CIDR. */
  subnet: string;
  gateway: string;
  edgeAddress: string;
};

const FIRST_SERVICE = 3;

export function environmentNetwork(name: string, subnet: Subnet): EnvironmentNetwork {
  return {
    name,
    subnet: formatSubnet(subnet),
    gateway: formatAddress(subnet.base + 1),
    edgeAddress: formatAddress(subnet.base + 2),
  };
}

/** The first address for a service that is in none of `taken`. */
export function freeAddress({ subnet }: EnvironmentNetwork, taken: Iterable<string>): string {
  const { base } = parseSubnet(subnet);
  const used = new Set(taken);
  for (let offset = FIRST_SERVICE; ; offset++) {
    const address = formatAddress(base + offset);
    if (!used.has(address)) return address;
  }
}
