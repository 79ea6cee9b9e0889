import { machineRoutes } from "../../host/routes.ts";
import { freeRange } from "../support/docker.ts";
import { createDockerEngineSubject } from "../support/docker-engine-subject.ts";
import { createDockerWorkloadsSubject } from "../support/docker-workloads-subject.ts";
import { describeWorkloadsContract } from "./workloads-contract.ts";

/** Answers every request, and ends with the code that a file says; the file goes then, for the next run. */
const SERVER = `
  const { readFileSync, rmSync } = require("node:fs");
  require("node:http").createServer((_, response) => response.end()).listen(3000);
  setInterval(() => {
    try {
      const code = Number(readFileSync("/tmp/exit", "utf8"));
      rmSync("/tmp/exit");
      process.exit(code);
    } catch {}
  }, 50);
`;

describeWorkloadsContract(
  "DockerWorkloads on Docker",
  createDockerWorkloadsSubject(createDockerEngineSubject(["node", "-e", SERVER]), {
    freeRange: () => freeRange(26),
    routes: machineRoutes,
    async answers({ address, port }) {
      const signal = AbortSignal.timeout(2_000);
      return fetch(`http://${address}:${port}/`, { signal }).then(
        ({ ok }) => ok,
        () => false,
      );
    },
  }),
);
