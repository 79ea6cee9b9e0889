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

/**
 * The network of an environment. Names begin with the instance, so that the platform's own network, named after the
 * instance alone, sorts first: Docker keeps a container's published ports on its alphabetically first network.
 */
export function networkName(instance: string, env: string): string {
  return `${instance}-${env}`;
}

/** A network of the pool, named after its subnet (CIDR), as a name cannot be changed when an environment takes it. */
export function pooledNetworkName(instance: string, subnet: string): string {
  return `${instance}-net-${subnet.replaceAll(/[./]/g, "-")}`;
}

/** The container of one of an environment's services. */
export function containerName(instance: string, env: string, service: string): string {
  return `${instance}-${env}-${service}`;
}
