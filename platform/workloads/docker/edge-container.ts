import type { EdgeContainer } from "../workloads.ts";
import type { Engine } from "./engine.ts";

type Options = { engine: Engine; instance: string; container: string; address: string };

/** Nginx's container. Its place in the platform's own network, named after the instance, is `address`. */
export function createEdgeContainer({ engine, instance, container: name, address }: Options): EdgeContainer {
  const { containers, networks } = engine;

  /** A network that went while the container did not run keeps it from starting until it is disconnected. */
  async function leaveGoneNetworks(attached: string[]): Promise<string[]> {
    const present = new Set((await engine.observe()).networks.map((network) => network.name));
    const gone = attached.filter((network) => network.startsWith(`${instance}-`) && !present.has(network));
    for (const network of gone) await networks.disconnect(network, name);
    return gone.map((network) => `disconnect-edge ${network}`);
  }

  return {
    async repair({ beforeStart }) {
      const facts = await containers.inspect(name);
      if (facts === null) throw new Error("its container is gone; run `make up`, which makes it anew");
      const steps: string[] = [];
      const present = facts.networks[instance];
      if (present !== address && present !== "") {
        await networks.connect(instance, name, address);
        steps.push(`connect-edge ${instance}`);
      }
      if (facts.state === "paused") {
        await containers.unpause(name);
        steps.push(`unpause-container ${name}`);
      } else if (facts.state !== "running") {
        steps.push(...(await leaveGoneNetworks(Object.keys(facts.networks))));
        await beforeStart();
        await containers.start(name);
        steps.push(`start-container ${name}`);
      }
      return steps;
    },
    hasExited: async () => (await containers.inspect(name))?.state === "exited",
  };
}
