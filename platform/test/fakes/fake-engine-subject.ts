import type { EngineSubject } from "../contracts/engine-contract.ts";
import { createFakeEngine, type FakeEngine } from "./fake-engine.ts";

export const FAKE_INSTANCE = "sandbox-fake";
export const FAKE_IMAGE = "app:latest";
const FOREIGN_NETWORK = "foreign-network";

/** A fake engine with the images and commands that contracts ask for. */
export function createContractEngine(): FakeEngine {
  const engine = createFakeEngine({ instance: FAKE_INSTANCE });
  engine.addImage(FAKE_IMAGE, [8080, 80]);
  engine.addImage("tools:latest");
  engine.onExec(async ([command = "", ...args], _container, signal) => {
    if (command === "print") return { exitCode: 0, output: args.join("\n") };
    if (command === "hang") await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return { exitCode: Number(args[0] ?? 0), output: "" };
  });
  return engine;
}

/** The fake engine, as a subject of the contracts. */
export function createFakeEngineSubject(): EngineSubject {
  const engine = createContractEngine();
  const names = async () => Object.values(await engine.observe()).flatMap((facts) => facts.map(({ name }) => name));
  let subnets = 0;
  let foreign: string[] = [];
  return {
    engine,
    instance: FAKE_INSTANCE,
    image: FAKE_IMAGE,
    idle: null,
    exposing: { reference: FAKE_IMAGE, ports: [80, 8080] },
    tools: { reference: "tools:latest", folder: "/sandbox-tools" },
    missingImage: "missing:latest",
    nameImage: async (reference) => engine.addImage(reference),
    commands: { print: (out, err) => ["print", out, err], fail: (code) => ["fail", String(code)], hang: ["hang"] },
    async freeSubnet() {
      const base = `10.1.${subnets++}`;
      return {
        subnet: `${base}.0/28`,
        gateway: `${base}.1`,
        addresses: Array.from({ length: 12 }, (_, i) => `${base}.${i + 2}`),
      };
    },
    print: async (container, stream, text) => engine.writeLog(container, stream, text),
    exit: async (container, code) => engine.exit(container, code),
    hasFile: async (container, path) =>
      engine.calls.some(
        ({ method, args }) => method === "containers.copyFromImage" && args[0] === container && args[2] === path,
      ),
    async addForeign(container = "foreign") {
      engine.addForeignContainer(container);
      engine.addForeignNetwork(FOREIGN_NETWORK, "10.2.0.0/28");
      foreign = [container, FOREIGN_NETWORK];
      return { container, network: FOREIGN_NETWORK };
    },
    async removeBehindOurBack(container) {
      engine.removeBehindOurBack(container);
      foreign = foreign.filter((name) => name !== container);
    },
    async clean() {
      for (const name of [...foreign, ...(await names())]) engine.removeBehindOurBack(name);
      foreign = [];
    },
    leftovers: names,
  };
}
