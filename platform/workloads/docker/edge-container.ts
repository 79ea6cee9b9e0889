import { isPlatformError } from "../../kernel/errors.ts";
import type { EdgeContainer } from "../workloads.ts";
import type { Engine } from "./engine.ts";

type Options = { engine: Engine; instance: string; container: string; address: string };

/** Nginx's container. Its place in the platform's own network, named after the instance, is `address`. */
export function createEdgeContainer({ engine, instance, container: name, address }: Options): EdgeContainer {
  /** Starts it, also where a network went that it was on. Returns what had to be done first. */
  async function start(): Promise<string[]> {
    try {
      await engine.containers.start(name);
      return [];
    } catch (error) {
      if (!isPlatformError(error, "conflict")) throw error;
      // A network that went while the container did not run keeps it from starting until it is disconnected.
      const { containers, networks } = await engine.observe();
      const present = new Set(networks.map((network) => network.name));
      const attached = Object.keys(containers.find((container) => container.name === name)?.networks ?? {});
      const gone = attached.filter((network) => network.startsWith(`${instance}-`) && !present.has(network));
      if (gone.length === 0) throw error;
      for (const network of gone) await engine.networks.disconnect(network, name);
      await engine.containers.start(name);
      return gone.map((network) => `disconnect-edge ${network}`);
    }
  }

  return {
    async repair({ beforeStart }) {
      const facts = await engine.containers.inspect(name);
      if (facts === null) throw new Error("its container is gone; run `make up`, which makes it anew");
      const steps: string[] = [];
      // A container that does not run has no address yet: it gets the one that it was connected with.
      const present = facts.networks[instance];
      if (present !== address && present !== "") {
        await engine.networks.connect(instance, name, address);
        steps.push(`connect-edge ${instance}`);
      }
      if (facts.state === "paused") {
        await engine.containers.unpause(name);
        steps.push(`unpause-container ${name}`);
      } else if (facts.state !== "running") {
        await beforeStart();
        steps.push(...(await start()), `start-container ${name}`);
      }
      return steps;
    },
    hasExited: async () => (await engine.containers.inspect(name))?.state === "exited",
  };
}
