import { LABEL_PLATFORM, LABEL_ROLE } from "../../domain/environment/labels.ts";
import type { Subnet } from "../../domain/network/subnets.ts";
import type { Placement } from "../../domain/plan/observed.ts";
import { createIdleQueue } from "../../kernel/idle-queue.ts";
import { createDockerWorkloads } from "../../workloads/docker/docker-workloads.ts";
import type { EngineSubject } from "../contracts/engine-contract.ts";
import type { WorkloadsSubject } from "../contracts/workloads-contract.ts";

const PORT = 3000;

type Options = {
  /** A range for four environments that is free. */
  freeRange(): Promise<Subnet>;
  routes(): Promise<string[]>;
  answers(placement: Placement): Promise<boolean>;
};

/** DockerWorkloads on an engine, real or fake, as a subject of the workloads contract. */
export function createDockerWorkloadsSubject(engine: EngineSubject, options: Options): WorkloadsSubject {
  const { instance, image } = engine;
  const { containers, networks } = engine.engine;
  const labels = { [LABEL_PLATFORM]: instance };
  const resources = { memory_mb: 64, cpus: 0.5, pids: 64 };
  const edge = { container: `${instance}-nginx`, address: "" };
  let range: Subnet;

  return {
    async begin() {
      range = await options.freeRange();
      const { subnet, gateway, addresses } = await engine.freeSubnet();
      edge.address = addresses[0] ?? "";
      await networks.create({ name: instance, subnet, gateway, labels, internal: false });
      await containers.create({
        name: edge.container,
        image,
        labels: { ...labels, [LABEL_ROLE]: "nginx" },
        env: {},
        command: engine.idle,
        network: instance,
        address: edge.address,
        aliases: [],
        resources,
      });
      await containers.start(edge.container);
    },
    createAdapter: ({ poolSize } = { poolSize: 0 }) =>
      createDockerWorkloads({
        engine: engine.engine,
        instance,
        edge,
        subnets: { range, prefix: 28 },
        routes: options.routes,
        pool: {
          size: () => poolSize,
          idle: createIdleQueue(new AbortController().signal),
          refusal: async () => null,
        },
        failpoint: () => {},
        logger: { warn() {}, error() {} },
      }),
    image,
    command: engine.idle,
    port: PORT,
    missingImage: engine.missingImage,
    tools: engine.tools,
    commands: engine.commands,
    answers: options.answers,
    print: engine.print,
    exit: engine.exit,
    hasFile: engine.hasFile,
    removeBehindOurBack: engine.removeBehindOurBack,
    addForeign: async (container) => void (await engine.addForeign(container)),
    async leaveHelper() {
      const name = `${instance}-helper-left`;
      await containers.create({
        name,
        image,
        labels: { ...labels, [LABEL_ROLE]: "helper" },
        env: {},
        command: null,
        network: instance,
        address: edge.address,
        aliases: [],
        resources,
      });
      return `container ${name}`;
    },
    async end() {
      await engine.clean();
      const left = await engine.leftovers();
      if (left.length > 0) throw new Error(`The contract's tests left ${left.join(", ")}`);
    },
  };
}
