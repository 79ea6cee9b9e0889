import { contains, parseSubnet } from "./subnets.ts";

/** An environment, and the subnet it lives in. */
export type Placed = { id: string; subnet: string };

/** How many environments are named. */
const NAMED = 10;

/**
 * Why a platform with these subnets must not start beside what is there, or null where nothing speaks against it: the
 * firewall's rules and Nginx's `deny` are about SUBNET_POOL and PLATFORM_SUBNET alone, so that environments outside of
 * them would reach this machine, and those outside and inside each other. `platformNetwork`: null where there is none.
 */
export function refuseMovedSubnets(
  settings: { pool: string; platform: string },
  placed: readonly Placed[],
  platformNetwork: string | null,
): string | null {
  if (platformNetwork !== null && platformNetwork !== settings.platform) {
    return (
      `PLATFORM_SUBNET is ${settings.platform}, and the platform's network has ${platformNetwork}. ` +
      "Put PLATFORM_SUBNET (and NGINX_ADDRESS) back; or run make down first, which destroys every environment"
    );
  }
  const pool = parseSubnet(settings.pool);
  const outside = placed.filter(({ subnet }) => !contains(pool, parseSubnet(subnet)));
  if (outside.length === 0) return null;
  const named = outside.slice(0, NAMED).map(({ id, subnet }) => `${id} (${subnet})`);
  const more = outside.length > NAMED ? ` and ${outside.length - NAMED} more` : "";
  return (
    `SUBNET_POOL is ${settings.pool}, and environments live outside of it, where neither the firewall nor Nginx would ` +
    `keep them from anything: ${named.join(", ")}${more}. Put SUBNET_POOL back; or destroy them first ` +
    "(make destroy ENV=<id> with the setting put back, or make down, which destroys every environment)"
  );
}
