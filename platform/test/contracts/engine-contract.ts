import { describe } from "vitest";
import { createEngineBench, type EngineSubject } from "./engine-bench.ts";
import { describeContainers } from "./engine-container-contract.ts";
import { describeEvents } from "./engine-event-contract.ts";
import { describeCommands } from "./engine-exec-contract.ts";
import { describeLogs } from "./engine-log-contract.ts";
import { describeNetworks } from "./engine-network-contract.ts";

export type { EngineSubject };

/** What every Engine must do; engine.ts says it in words. */
export function describeEngineContract(name: string, makeSubject: () => EngineSubject): void {
  describe(`${name} as an engine`, () => {
    const bench = createEngineBench(makeSubject());
    describeEvents(bench);
    describeContainers(bench);
    describeCommands(bench);
    describeLogs(bench);
    describeNetworks(bench);
  });
}
