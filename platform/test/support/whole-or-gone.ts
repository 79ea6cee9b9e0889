import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { OutageMode } from "../../domain/environment/record.ts";
import type { EnvironmentView } from "../../domain/environment/view.ts";
import { apiClient, visit } from "./api-client.ts";
import { docker } from "./docker.ts";
import { expectStatus } from "./expect-status.ts";
import { leftovers, type TestInstance } from "./test-instance.ts";
import { waitUntil } from "./wait-until.ts";

let visits = 0;

/**
 * Asserts that every environment the platform knows is up and running, an outage in force ended first,
 * and that there is nothing on the machine of any other. Returns the living ones.
 */
export async function expectWholeOrGone(instance: TestInstance): Promise<EnvironmentView[]> {
  const { body: environments } = await apiClient(instance).list();
  await Promise.all(environments.map((environment) => expectWhole(instance, environment)));
  const ids = environments.map(({ id }) => id);
  // One that was made ahead is named for nobody.
  const networks = new Set(environments.map(({ network }) => network));
  const strays = [...(await leftovers(instance)), ...(await secretFiles(instance))].filter(
    (name) => !ids.some((id) => name.includes(id)) && !networks.has(name),
  );
  expect(strays, `left over beside ${ids.join(", ") || "nothing"}`).toEqual([]);
  return environments;
}

async function secretFiles(instance: TestInstance): Promise<string[]> {
  const folder = join(instance.folder, "envs/secrets");
  return existsSync(folder) ? (await readdir(folder)).map((name) => `secrets/${name}`) : [];
}

/** What an outage on record looks like at the engine, before anything is recovered. */
const BROKEN: Record<OutageMode, { state?: string; connected?: boolean }> = {
  crash: { state: "exited" },
  pause: { state: "paused" },
  network: { connected: false },
  stress: { state: "running" },
};

async function stateOf(container: string, network: string): Promise<{ state: string; connected: boolean }> {
  const [facts] = JSON.parse(await docker("inspect", container)) as {
    State: { Status: string };
    NetworkSettings: { Networks: Record<string, unknown> };
  }[];
  return { state: facts?.State.Status ?? "", connected: network in (facts?.NetworkSettings.Networks ?? {}) };
}

/** Stress shows in no state: it is looked for among the processes. */
async function isStressed(container: string): Promise<boolean> {
  return (await docker("top", container, "-o", "pid,comm")).includes("stress-ng");
}

/** It answers through the front door, counts as running, and what it prints arrives in its log. */
async function expectWhole(instance: TestInstance, { id, outage, container, network }: EnvironmentView): Promise<void> {
  const api = apiClient(instance);
  if (outage !== null) expect(await stateOf(container, network)).toMatchObject(BROKEN[outage.mode]);
  if (outage !== null) expectStatus(await api.outage(id, "recover"), 200);
  const path = `/visit-${++visits}-`;
  await waitUntil(`${id} to answer`, async () =>
    expectStatus(await visit(instance, `${id}.localhost`, "/health"), 200),
  );
  await waitUntil(`${id} to be running`, async () => (await api.show(id)).body.status === "running");
  expect(await isStressed(container), `${id} is stressed, and no outage of that is on record`).toBe(false);
  await visit(instance, `${id}.localhost`, path);
  await waitUntil(
    `the log line of ${path} in ${id}`,
    async () => (await api.logs(id, `?lines=1&grep=${path}`)).body.lines.length > 0,
    10_000,
    20,
  );
}
