import { parseSubnet } from "../../domain/network/subnets.ts";
import { describeWorkloadsContract } from "../contracts/workloads-contract.ts";
import { createDockerWorkloadsSubject } from "../support/docker-workloads-subject.ts";
import { createFakeEngineSubject } from "./fake-engine-subject.ts";

const subject = createFakeEngineSubject();

describeWorkloadsContract(
  "DockerWorkloads on the fake engine",
  createDockerWorkloadsSubject(subject, {
    freeRange: async () => parseSubnet("10.172.0.0/26"),
    routes: async () => [],
    async answers({ address }) {
      const { containers } = await subject.engine.observe();
      return containers.some(({ state, networks }) => state === "running" && Object.values(networks).includes(address));
    },
  }),
);
