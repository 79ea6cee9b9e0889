import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { machineRoutes } from "./routes.ts";

test("the machine's routes are the ranges of the routing table without default routes", async () => {
  const table = join(await temporaryFolder(), "route");
  await writeFile(
    table,
    `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-1\t1000AC0A\t00000000\t0001\t0\t0\t0\tF0FFFFFF\t0\t0\t0
`,
  );
  expect(await machineRoutes(table)).toEqual(["172.17.0.0/16", "10.172.0.16/28"]);
});

test("the machine has no routes when there is no routing table", async () => {
  expect(await machineRoutes(join(await temporaryFolder(), "none"))).toEqual([]);
});
