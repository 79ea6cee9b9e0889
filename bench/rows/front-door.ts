import { awaitCompleteLog } from "../app-logs.ts";
import { atLeast, ratioLine, type Line } from "../line.ts";
import { spreadOf } from "../statistics.ts";
import { addressOf } from "../../platform/test/support/docker.ts";
import { frontDoor, type Workbench } from "../workbench.ts";
import { hasWrk, runWrk, type WrkReport } from "../wrk.ts";

const ROUNDS = 5;
const SECONDS = 5;
/** The page that people look at, and the cheapest answer there is, for which the application does next to nothing. */
const PATHS = ["/", "/health"] as const;

type Reports = Record<"direct" | "nginx", WrkReport[]>;

/** The same request through Nginx's own address and directly to the same container, by turns. */
export async function measureFrontDoor(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  if (!(await hasWrk(bench.signal))) return { lines: [], raw: null, note: "wrk is not installed" };
  const { id, container, network, port } = await bench.create({ name: "door" });
  try {
    const servers = {
      direct: `${await addressOf(container, network)}:${port}`,
      nginx: `${await addressOf(`${bench.instance.name}-nginx`, bench.instance.name)}:80`,
    };
    const { host } = frontDoor(bench.instance, id, "");
    const none = (): Reports => ({ direct: [], nginx: [] });
    const reports = { "/": none(), "/health": none() };
    for (let round = 1; round <= ROUNDS; round++) {
      await bench.quiet();
      for (const path of PATHS)
        for (const way of ["direct", "nginx"] as const) {
          // Docker still ships what the application logged for the requests before.
          await awaitCompleteLog(bench, id);
          const url = `http://${servers[way]}${path}`;
          reports[path][way].push(await runWrk({ url, host, seconds: SECONDS }, bench.signal));
        }
      bench.progress(`${round} of ${ROUNDS}`);
    }
    return { lines: PATHS.map((path) => lineOf(path, reports[path])), raw: reports };
  } finally {
    await bench.destroy(id);
  }
}

function lineOf(path: string, { direct, nginx }: Reports): Line {
  const spread = (reports: WrkReport[]) => spreadOf(reports.map(({ perSecond }) => perSecond));
  return ratioLine({
    row: "front-door",
    what: `GET ${path} through Nginx over directly to the container, wrk with 64 connections`,
    unit: "req/s",
    baseline: spread(direct),
    platform: spread(nginx),
    goal: atLeast(0.5),
  });
}
