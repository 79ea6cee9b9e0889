import { environmentLabels } from "../platform/domain/environment/labels.ts";
import { createSubnetAllocator, parseSubnet, type Subnet } from "../platform/domain/network/subnets.ts";
import { buildContainerBody, buildNetworkBody } from "../platform/workloads/docker/container-spec.ts";
import { createDockerClient, type Docker } from "../platform/workloads/docker/client.ts";
import { environmentNetwork, freeAddress } from "../platform/workloads/docker/environment-network.ts";
import { DOCKER_SOCKET, removeTestObjects, testObjects } from "../platform/test/support/docker.ts";
import { awaitFirst200 } from "./first-answer.ts";

const PREFIX = 28;
const PORT = 3000;
const ENGINE_LIMIT_MS = 300_000;

type CreateOptions = Parameters<Docker["createContainer"]>[0];
type NetworkOptions = Parameters<Docker["createNetwork"]>[0];

/** The bare engine's counterpart of an environment. */
export type BareEnvironment = { network: string; container: string; address: string; subnet: Subnet };

/** The engine without a platform: the fewest calls after which a container in a network of its own answers. */
export type BareEngine = {
  /** The label of its containers and networks. */
  instance: string;
  /** Network, container, start, first 200 from its address; with the image, labels, limits and subnet of an environment. */
  create(app?: { command: string[] }): Promise<BareEnvironment>;
  /** Removes the container by force in one call, then the network. */
  destroy(environment: BareEnvironment): Promise<void>;
  /** Removes everything, including the results of calls that still run. */
  remove(): Promise<void>;
};

export type BareEngineOptions = {
  /** The label of its objects; another one than the platform's, which would remove them as orphans of its own. */
  instance: string;
  image: string;
  /** The range that its subnets are cut from, for its use alone. */
  pool: string;
  signal: AbortSignal;
};

/** Creates nothing by itself. An aborted `signal` ends its waits and rejects new calls. */
export function createBareEngine({ instance, image, pool, signal }: BareEngineOptions): BareEngine {
  const client = createDockerClient({ socketPath: DOCKER_SOCKET, instance, timeoutMs: ENGINE_LIMIT_MS });
  const subnets = createSubnetAllocator(parseSubnet(pool), PREFIX);
  let made = 0;

  /** Not `client.change`, which would apply the platform's own limit of concurrent calls. */
  function call<T>(action: string, work: (docker: Docker) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    return client.call(action, work);
  }

  return {
    instance,
    async create(app) {
      const subnet = subnets.take();
      if (subnet === null) throw new Error("Cannot create on the bare engine: its subnets are used up");
      const id = `env-bare-${++made}`;
      const network = `${instance}-${id}`;
      const places = environmentNetwork(network, subnet);
      const [container, address] = [`${network}-app`, freeAddress(places, [])];
      const labels = environmentLabels(instance, id, "network");
      const networkBody = buildNetworkBody({ ...places, labels, internal: false });
      const containerBody = buildContainerBody({
        name: container,
        image,
        labels: environmentLabels(instance, id, "app", "app"),
        env: { ENV_ID: id, PORT: String(PORT) },
        command: app?.command ?? null,
        network,
        address,
        aliases: ["app"],
        resources: { memory_mb: 256, cpus: 1, pids: 256 },
      });
      const body = <T>(query: object, content: object): T => ({ _query: query, _body: content }) as T;
      await call("create network", (docker) => docker.createNetwork(body<NetworkOptions>({}, networkBody)));
      const { id: containerId } = await call("create container", (docker) =>
        docker.createContainer(body<CreateOptions>({ name: container }, containerBody)),
      );
      await call("start container", (docker) => docker.getContainer(containerId).start());
      await awaitFirst200({ address, port: PORT, host: address, path: "/" }, signal);
      return { network, container, address, subnet };
    },

    async destroy({ network, container, subnet }) {
      await call("remove container", (docker) => docker.getContainer(container).remove({ force: true, v: true }));
      await call("remove network", (docker) => docker.getNetwork(network).remove());
      subnets.free(subnet);
    },

    async remove() {
      // A call that was under way when the run was interrupted may create another one meanwhile.
      for (let round = 0; round < 5; round++) {
        await removeTestObjects(instance);
        if ((await testObjects(instance)).length === 0) return;
      }
    },
  };
}
