import { onTestFinished } from "vitest";
import { createDockerEngine } from "../../workloads/docker/docker-engine.ts";
import type { EngineSubject } from "../contracts/engine-contract.ts";
import {
  docker,
  DOCKER_SOCKET,
  dockerWithInput,
  freeSubnet,
  nodeImage,
  removeTestObjects,
  TEST_LABEL,
  testInstanceName,
  testObjects,
} from "./docker.ts";
import { waitUntil } from "./wait-until.ts";

export const ENGINE_TIMEOUT_MS = 30_000;
export const STRESS_IMAGE = process.env["STRESS_IMAGE"] || "sandbox-stress-ng:latest";

/** Ends as soon as a file says with which code; everything else comes through exec. */
const IDLE = [
  "/bin/sh",
  "-c",
  "while [ ! -e /tmp/exit ]; do sleep 0.05; done; code=$(cat /tmp/exit); rm /tmp/exit; exit $code",
];

/** The real engine with an instance of its own, as a subject of the contracts; `idle` ends as IDLE does. */
export function createDockerEngineSubject(idle = IDLE): EngineSubject {
  const instance = testInstanceName();
  let foreign = 0;
  return {
    engine: createDockerEngine({ socketPath: DOCKER_SOCKET, instance, timeoutMs: ENGINE_TIMEOUT_MS }),
    instance,
    image: nodeImage(),
    idle,
    exposing: { reference: process.env["DEFAULT_IMAGE"] || "sandbox-demo-app:latest", ports: [3000] },
    tools: { reference: STRESS_IMAGE, folder: "/sandbox-tools" },
    missingImage: "sandbox-test/there-is-none:1",
    async nameImage(reference) {
      await docker("tag", nodeImage(), reference);
      onTestFinished(async () => void (await docker("rmi", "--no-prune", reference)));
    },
    commands: {
      print: (out, err) => ["/bin/sh", "-c", 'echo "$0"; echo "$1" >&2', out, err],
      fail: (code) => ["/bin/sh", "-c", `exit ${code}`],
      hang: ["/bin/sleep", "600"],
    },
    freeSubnet,
    async print(container, stream, text) {
      // What the main process's own streams lead to, not a file that a shell could hand over.
      const script = `process.stdin.pipe(require("fs").createWriteStream("/proc/1/fd/${stream === "stdout" ? 1 : 2}"))`;
      const write = () => dockerWithInput(text, "exec", "-i", container, "node", "-e", script);
      // Right after an `unpause` a busy engine may take the container for paused, and refuse to run a command in it.
      await waitUntil(`a command in ${container}`, () => write().then(() => true));
    },
    async exit(container, code) {
      await docker("exec", container, "/bin/sh", "-c", `echo ${code} > /tmp/code && mv /tmp/code /tmp/exit`);
    },
    async hasFile(container, path) {
      return (await docker("cp", "-q", `${container}:${path}`, "-").catch(() => "")).length > 0;
    },
    async addForeign(container) {
      const network = `${instance}-foreign-${++foreign}`;
      const name = container ?? network;
      const label = ["--label", `${TEST_LABEL}=${instance}`];
      const { subnet } = await freeSubnet();
      await docker("network", "create", ...label, "--subnet", subnet, network);
      await docker("run", "-d", "--name", name, ...label, "--network", "none", nodeImage(), "/bin/sleep", "600");
      return { container: name, network };
    },
    async removeBehindOurBack(container) {
      await docker("rm", "-f", container);
    },
    clean: () => removeTestObjects(instance),
    leftovers: () => testObjects(instance),
  };
}
