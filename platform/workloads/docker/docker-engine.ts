import { createDockerClient, type DockerOptions } from "./client.ts";
import { createDockerContainers } from "./containers.ts";
import { createDockerCopy } from "./copy-from-image.ts";
import type { Engine } from "./engine.ts";
import { readDockerEvents } from "./events.ts";
import { createDockerExec } from "./exec.ts";
import { listContainers, listNetworks } from "./facts.ts";
import { createDockerImages } from "./images.ts";
import { readDockerLogs } from "./logs.ts";
import { createDockerNetworks } from "./networks.ts";

/**
 * The platform's Engine on a Docker engine from 20.10 on. Needs no engine to be there yet: calls fail
 * with `engine_unavailable` until it is, and work again once it is back.
 */
export function createDockerEngine(options: DockerOptions): Engine {
  const client = createDockerClient(options);
  const lifecycle = createDockerContainers(client);
  const copy = createDockerCopy(client, lifecycle.remove);
  return {
    containers: {
      ...lifecycle,
      ...createDockerExec(client),
      copyFromImage: copy.copyFromImage,
      logs: (name, logOptions) => readDockerLogs(client, name, logOptions),
    },
    networks: createDockerNetworks(client),
    images: createDockerImages(client),
    info: () => client.negotiate(),
    async observe() {
      // A copy that ends meanwhile may still be listed with its helper; one that begins was not in use before.
      const before = copy.helpersInUse();
      const [containers, networks] = await Promise.all([listContainers(client), listNetworks(client)]);
      const helpers = new Set([...before, ...copy.helpersInUse()]);
      return { containers: containers.filter(({ name }) => !helpers.has(name)), networks };
    },
    events: (signal) => readDockerEvents(client, signal),
  };
}
