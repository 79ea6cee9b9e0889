import { stat } from "node:fs/promises";
import type { EnvironmentView } from "../platform/domain/environment/view.ts";
import { addressOf } from "../platform/test/support/docker.ts";
import { waitUntil } from "../platform/test/support/wait-until.ts";
import type { Target } from "./first-answer.ts";
import { logFilesOf } from "./log-files.ts";
import { frontDoor, type Workbench } from "./workbench.ts";
import { runWrk, type WrkReport } from "./wrk.ts";

/** An application's lines of one run are shipped after its end, too: a log that does not grow for so long is complete. */
const STILL_MS = 700;
const STILL_LIMIT_MS = 60_000;

/** How to get to an application: where to ask, and by which name; its path is the asker's. */
export type Way = Omit<Target, "path">;

/** `door` is Nginx's own address, `port` the published one on loopback, which Docker's userland proxy copies through. */
export async function waysTo(
  { instance }: Pick<Workbench, "instance">,
  { id, container, network, port }: EnvironmentView,
): Promise<Record<"straight" | "door" | "port", Way>> {
  const published = frontDoor(instance, id, "");
  const door = await addressOf(`${instance.name}-nginx`, instance.name);
  return {
    straight: { ...published, address: await addressOf(container, network), port },
    door: { ...published, address: door, port: 80 },
    port: published,
  };
}

/** wrk on one environment, once what it printed before is shipped. */
export async function load(
  bench: Workbench,
  environment: EnvironmentView,
  { way, path, seconds }: { way: Way; path: string; seconds: number },
): Promise<WrkReport> {
  await logIsStill(bench, environment);
  return runWrk(`http://${way.address}:${way.port}${path}`, { Host: way.host }, seconds, bench.signal);
}

/** Until nothing more comes of what an application has printed. */
export async function logIsStill(bench: Workbench, { id }: EnvironmentView): Promise<void> {
  let [last, since] = [-1, performance.now()];
  const isStill = async (): Promise<boolean> => {
    const files = await logFilesOf(bench, id, "app.log");
    const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
    const size = sizes.reduce((sum, each) => sum + each, 0);
    if (size !== last) [last, since] = [size, performance.now()];
    return performance.now() - since >= STILL_MS;
  };
  await waitUntil("the application's log to be complete", isStill, STILL_LIMIT_MS);
}
