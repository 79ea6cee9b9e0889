/**
 * Names of an environment's Docker objects. The instance comes first so that the platform's own network, named after
 * the instance alone, sorts before every environment's: Docker keeps a container's published ports on its
 * alphabetically first network.
 */
export function networkName(instance: string, env: string): string {
  return `${instance}-${env}`;
}

/** The container of one of an environment's services. */
export function containerName(instance: string, env: string, service: string): string {
  return `${instance}-${env}-${service}`;
}

/** A network of the pool, named after its subnet (CIDR), since a name cannot be changed when an environment takes it. */
export function pooledNetworkName(instance: string, subnet: string): string {
  return `${instance}-net-${subnet.replaceAll(/[./]/g, "-")}`;
}
