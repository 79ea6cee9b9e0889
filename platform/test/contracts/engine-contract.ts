import { describe } from "vitest";
import { createEngineHarness, type EngineSubject } from "./engine-harness.ts";
import { describeContainers } from "./engine-container-contract.ts";
import { describeEvents } from "./engine-event-contract.ts";
import { describeCommands } from "./engine-exec-contract.ts";
import { describeLogs } from "./engine-log-contract.ts";
import { describeNetworks } from "./engine-network-contract.ts";

export type { EngineSubject };

/** What every Engine must do; engine.ts says it in words. */
export function describeEngineContract(name: string, makeSubject: () => EngineSubject): void {
  describe(`${name} as an engine`, () => {
    const harness = createEngineHarness(makeSubject());
    describeEvents(harness);
    describeContainers(harness);
    describeCommands(harness);
    describeLogs(harness);
    describeNetworks(harness);
  });
}
