import { inspect } from "node:util";
import { expect, test } from "vitest";
import { QuietAgent } from "./opaque-agent.ts";

test("an agent says nothing of its sockets, however deeply it is looked at", () => {
  expect(inspect({ agent: new QuietAgent() }, { showHidden: true, depth: null })).toBe("{ agent: Agent }");
});
