import { isPlatformError, PlatformError } from "../../kernel/errors.ts";
import type { NetworkEngine } from "./engine.ts";
import type { EnvironmentNetwork } from "./environment-network.ts";

/**
 * Connects Nginx's container to an environment's network, at the proxy's address there. A missing container of Nginx is
 * the platform's failure (`ingress_unavailable`), and no conflict with what the caller asked.
 */
export async function connectNginx(
  networks: Pick<NetworkEngine, "connect">,
  container: string,
  { name, edgeAddress }: EnvironmentNetwork,
): Promise<void> {
  try {
    await networks.connect(name, container, edgeAddress);
  } catch (error) {
    if (!isPlatformError(error, "conflict")) throw error;
    const detail = "Cannot reach Nginx: its container is not there. Start it with `make up`.";
    throw new PlatformError("ingress_unavailable", detail, { cause: error });
  }
}
