import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rename, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PlatformEvent } from "../../domain/events.ts";
import { apiClient, describeAnswer, visit } from "../support/api-client.ts";
import { countingApp, countsIn } from "../support/counting-app.ts";
import { hostOf } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { createTestInstance, labelledObjects, leftovers, type TestInstance } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const MIB = 2 ** 20;

function eventsIn(logs: string): PlatformEvent[] {
  const text = readFileSync(join(logs, "events.jsonl"), "utf8");
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as PlatformEvent]));
}

describe("state files that cannot be read", () => {
  let instance: TestInstance;
  let api: ReturnType<typeof apiClient>;
  const envs = () => join(instance.folder, "envs");
  const events = (type: string) => eventsIn(join(instance.folder, "logs")).filter((event) => event.type === type);
  const quarantine = (id: string) =>
    readdirSync(join(envs(), "quarantine")).filter((name) => name.startsWith(`${id}.json.`));
  const objectsOf = async (id: string) => (await labelledObjects(instance.name)).filter((name) => name.includes(id));

  beforeAll(async () => {
    instance = await createTestInstance({ RECONCILE_SCHEDULE: "*/2 * * * * *" });
    api = apiClient(instance);
    await instance.startApi();
  });

  afterAll(async () => {
    await instance.remove();
    expect(await labelledObjects(instance.name)).toEqual([]);
  });

  test("are set aside with an event, never deleted, never fatal, and cost no running environment anything", async () => {
    const [kept, broken] = await Promise.all([api.create({ name: "kept" }), api.create({ name: "broken" })]);
    const id = broken.body.id;
    await instance.stopApi();
    const good = await readFile(join(envs(), `${id}.json`), "utf8");
    const half = good.length >> 1;
    await truncate(join(envs(), `${id}.json`), half);
    await writeFile(join(envs(), "env-empty-1.json"), "");
    await writeFile(join(envs(), "env-foreign-1.json"), good.replace('"version": 1', '"version": 99'));
    await writeFile(join(envs(), "env-bits-1.json"), Buffer.from([0xff, 0, 0x7b, 0xfe]));
    await mkdir(join(envs(), "env-folder-1.json"));
    await symlink("nowhere", join(envs(), "env-dangling-1.json"));
    await instance.startApi();

    const told = events("state.quarantined").map(({ env_id }) => env_id);
    expect(told.toSorted()).toEqual(
      ["env-bits-1", "env-dangling-1", "env-empty-1", "env-folder-1", "env-foreign-1", id].toSorted(),
    );
    expect(quarantine(id)).toHaveLength(1);
    expect(await readFile(join(envs(), "quarantine", quarantine(id)[0] ?? ""), "utf8")).toBe(good.slice(0, half));
    expect((await api.list()).body.map((environment) => environment.id)).toEqual([kept.body.id]);
    expectStatus(await visit(instance, hostOf(kept.body.id)), 200);

    // Two passes of the reconciler later it still answers, and has been reported once.
    const before = readFileSync(join(instance.folder, "logs/events.jsonl"), "utf8").length;
    await waitUntil("the report", () => events("drift.unrepaired").some(({ env_id }) => env_id === id));
    const other = await api.create({ name: "other" });
    expectStatus(other, 201);
    await rm(join(instance.folder, "conf.d", `${other.body.id}.conf`));
    await waitUntil(
      "a pass",
      () => events("environment.repaired").some(({ env_id }) => env_id === other.body.id),
      10_000,
    );
    expect(before).toBeGreaterThan(0);
    expectStatus(await visit(instance, hostOf(id)), 200);
    expect(events("drift.unrepaired").filter(({ env_id }) => env_id === id)).toHaveLength(1);
    expectStatus(await api.show(id), 404);

    // Put right by hand, it is taken up again as it was.
    await instance.stopApi();
    await rm(join(envs(), "quarantine", quarantine(id)[0] ?? ""));
    await writeFile(join(envs(), `${id}.json`), good);
    await instance.startApi();
    expect((await api.show(id)).body).toMatchObject({ status: "running", expires_at: broken.body.expires_at });
    expectStatus(await visit(instance, hostOf(id)), 200);
    expectStatus(await api.destroy(id), 200);
  });

  test("are given up with their environment when somebody deletes them", async () => {
    const { id } = expectStatus(await api.create({ name: "given-up" }), 201).body;
    await instance.stopApi();
    await rename(join(envs(), `${id}.json`), join(envs(), `${id}.json.away`));
    await writeFile(join(envs(), `${id}.json`), "{");
    await instance.startApi();
    expect(await objectsOf(id)).toHaveLength(2);
    await rm(join(envs(), `${id}.json.away`));
    await rm(join(envs(), "quarantine", quarantine(id)[0] ?? ""));
    await waitUntil("the orphans to go", async () => (await objectsOf(id)).length === 0, 20_000);
    await waitUntil("its route to go", () => !existsSync(join(instance.folder, "conf.d", `${id}.conf`)), 20_000);
  });
});

describe("a state folder that is lost", () => {
  let instance: TestInstance;
  let api: ReturnType<typeof apiClient>;
  const envs = () => join(instance.folder, "envs");
  const objectsOf = async (id: string) => (await labelledObjects(instance.name)).filter((name) => name.includes(id));
  const isThere = (id: string) => existsSync(join(envs(), `${id}.json`));
  const startedAt = (container: string) => docker("inspect", "-f", "{{.State.StartedAt}}", container);

  beforeAll(async () => {
    instance = await createTestInstance({ RECONCILE_SCHEDULE: "*/2 * * * * *" });
    api = apiClient(instance);
    await instance.startApi();
  });

  afterAll(async () => {
    await instance.remove();
    expect(await labelledObjects(instance.name)).toEqual([]);
  });

  test("under the running platform is made anew, and every record with it", async () => {
    const create = async (name: string) => expectStatus(await api.create({ name }), 201).body.id;
    const [one, two] = [await create("one"), await create("two")];
    await rm(envs(), { recursive: true });
    await waitUntil("the state files", () => isThere(one) && isThere(two), 20_000);
    await rm(envs(), { recursive: true });
    expectStatus(await api.outage(one, "pause"), 200);
    expectStatus(await api.outage(one, "recover"), 200);
    await create("three");
    await waitUntil(
      "the other state file and the sentinel",
      () => isThere(two) && existsSync(join(envs(), ".sentinel")),
      20_000,
    );
    await instance.stopApi("SIGKILL");
    await instance.startApi();
    expect((await api.list()).body.map(({ name }) => name)).toEqual(["one", "two", "three"]);
    await Promise.all((await api.list()).body.map(({ id }) => api.destroy(id)));
  });

  test("while the platform is down is refused at the start, which touches no environment, and can be restored", async () => {
    const kept = expectStatus(await api.create({ name: "kept" }), 201).body;
    await instance.stopApi("SIGKILL");
    const [before, runs] = [await objectsOf("-env-"), await startedAt(kept.container)];
    await rename(envs(), `${envs()}.away`);
    for (const replace of [async () => {}, async () => void (await mkdir(envs()))]) {
      await replace();
      await expect(instance.startApi()).rejects.toThrow(
        /Cannot start on the state folder ".*\/envs": it is not the one.*Restore the folder.*or run make down/,
      );
      expect(await objectsOf("-env-")).toEqual(before);
      expect(await startedAt(kept.container)).toBe(runs);
      expectStatus(await visit(instance, hostOf(kept.id)), 200);
      await rm(envs(), { recursive: true });
    }
    await rename(`${envs()}.away`, envs());
    await instance.startApi();
    expect((await api.list()).body).toMatchObject([{ id: kept.id, status: "running", expires_at: kept.expires_at }]);
    expect(await startedAt(kept.container)).toBe(runs);
  });

  test("while the platform is down can be given up by make down, after which it starts", async () => {
    await api.create({ name: "given-up" });
    await instance.stopApi("SIGKILL");
    await rm(envs(), { recursive: true });
    await expect(instance.startApi()).rejects.toThrow("or run make down");
    // As one that is not there: the engine belongs to all tests.
    const env = { ...process.env, ...instance.variables, ENGINE_PID_FILE: join(instance.folder, "no-engine") };
    await promisify(execFile)(join(ROOT, "scripts/down.sh"), { env });
    expect(await labelledObjects(instance.name)).toEqual([]);
    await instance.compose("up", "-d", "firewall", "nginx");
    await instance.startApi();
    expect((await api.list()).body).toEqual([]);
    expectStatus(await api.create({ name: "after" }), 201);
  });
});

describe("a disk that fills up", () => {
  let disk: SmallDisk;
  let instance: TestInstance;
  let api: ReturnType<typeof apiClient>;
  const events = () => eventsIn(join(disk.folder, "logs"));
  const remains = () => leftovers({ ...instance, folder: disk.folder });

  beforeAll(async () => {
    disk = await mountSmallDisk(16);
    instance = await createTestInstance({
      ...disk.variables,
      MIN_FREE_DISK: String(4 * MIB),
      RECONCILE_SCHEDULE: "*/2 * * * * *",
      HEALTH_SCHEDULE: "* * * * * *",
      PRUNE_SCHEDULE: "* * * * * *",
    });
    api = apiClient(instance);
    await instance.startApi();
  });

  afterAll(async () => {
    await instance?.remove();
    await disk?.remove();
    expect(await labelledObjects(instance.name)).toEqual([]);
  });

  /** Comes there whole, as the platform's own do: an archive is measured once, and a pass may be on now. */
  async function anArchive(id: string, bytes: number, ageDays: number): Promise<void> {
    const aside = join(disk.folder, id);
    await mkdir(aside);
    await writeFile(join(aside, "app.log"), "x".repeat(bytes));
    const time = Date.now() / 1000 - ageDays * 86_400;
    await utimes(join(aside, "app.log"), time, time);
    await mkdir(join(disk.folder, "logs/archived"), { recursive: true });
    await rename(aside, join(disk.folder, "logs/archived", id));
  }

  test("below MIN_FREE_DISK archives go oldest first, and then creates are refused with the numbers", async () => {
    await anArchive("env-ancient-1", 1000, 8);
    await anArchive("env-old-1", 2 * MIB, 3);
    await anArchive("env-young-1", 2 * MIB, 1);
    const pruned = () => events().filter(({ type }) => type === "archive.pruned");
    await waitUntil("the ancient one to go", () => pruned().length === 1);
    expect(pruned()).toMatchObject([{ env_id: "env-ancient-1", data: { reason: "age" } }]);

    disk.fill(3 * MIB);
    await waitUntil("the older one to go", () => pruned().length === 2);
    expect(pruned()[1]).toMatchObject({ env_id: "env-old-1", data: { reason: "disk" } });
    expectStatus(await api.create({ name: "fits" }), 201);

    disk.fill(1 * MIB);
    await waitUntil("the last one to go", () => pruned().length === 3);
    const { body } = expectStatus(await api.create({ name: "no-room" }), 503, { code: "disk_full" });
    expect(body["detail"]).toMatch(/has [0-3] MiB free, less than the 4 MiB of MIN_FREE_DISK/);
    const health = await api.call<{ parts: { store: { ok: boolean; detail: string } } }>("GET", "/healthz");
    expectStatus(health, 503);
    expect(health.body.parts.store).toMatchObject({ ok: false, detail: expect.stringContaining("MIN_FREE_DISK") });
    disk.empty();
    await waitUntil("it to be well", async () => expectStatus(await api.call("GET", "/healthz"), 200));
  });

  test("a full disk refuses creates, corrupts and loses nothing, and keeps nobody from reading or destroying", async () => {
    await instance.stopApi();
    await instance.startApi({ MIN_FREE_DISK: "0" });
    const [steady, goner] = [
      expectStatus(await api.create(countingApp("steady", 20)), 201).body,
      expectStatus(await api.create({ name: "goner" }), 201).body,
    ];
    const stateFile = () => readFileSync(join(disk.folder, "envs", `${steady.id}.json`), "utf8");
    const state = stateFile();
    const others = (list: string[]) => list.filter((name) => !name.includes(steady.id) && !name.includes("fits"));
    const countNow = async () => Number((await visit(instance, hostOf(steady.id))).text);
    disk.fill();

    const refused = await api.create({ name: "refused" });
    expectStatus(refused, 503, { code: "storage_failed" });
    expect(refused.body["detail"]).toMatch(/ENOSPC/);
    expect(others(await remains()).filter((name) => name.includes("refused"))).toEqual([]);
    const listed = (await api.list()).body.map(({ id }) => id);
    expect(listed.filter((id) => !id.includes("fits"))).toEqual([steady.id, goner.id]);
    expectStatus(await api.logs(steady.id), 200);
    expectStatus(await api.health(steady.id), 200, { status: "running" });
    const health = await waitUntil("healthz to notice", async () => {
      const answer = await api.call<{ parts: Record<string, { ok: boolean }> }>("GET", "/healthz");
      return answer.status === 503 ? answer : null;
    });
    expect(health.body.parts["store"]?.ok).toBe(false);
    expectStatus(await api.outage(steady.id, "pause"), 503, { code: "storage_failed" });
    expect(stateFile()).toBe(state);

    const gone = await api.destroy(goner.id);
    expect(gone.body).toMatchObject({ status: "destroyed" });
    expect(others(await remains())).toEqual([]);

    // What is written while the disk takes nothing is kept by the engine, and shipped afterwards.
    disk.fill();
    const from = await countNow();
    await waitUntil("lines that cannot be written", async () => (await countNow()) > from + 50);
    disk.fill();
    disk.empty();
    const until = await countNow();
    await waitUntil(
      "every line",
      async () => (countsIn((await api.logs(steady.id)).body.lines).at(-1) ?? 0) > until,
      30_000,
    );
    const counts = countsIn((await api.logs(steady.id, "?lines=10000")).body.lines);
    expect(counts).toEqual(counts.map((_, index) => index));

    await waitUntil("it to be well", async () => expectStatus(await api.call("GET", "/healthz"), 200));
    expectStatus(await api.create({ name: "again" }), 201);
    await waitUntil("the events of the meantime", () =>
      events().some(({ type, env_id }) => type === "environment.destroyed" && env_id === goner.id),
    );
    const ids = events().map(({ id }) => id);
    expect(ids).toEqual(ids.map((_, index) => (ids[0] ?? 0) + index));
  });
});

describe.each([
  { store: "ENVS_DIR", create: [503, "storage_failed"] },
  { store: "LOGS_DIR", create: [201, undefined] },
  { store: "NGINX_CONF_DIR", create: [503, "storage_failed"] },
])("a disk that holds $store alone, and is full", ({ store, create }) => {
  let disk: SmallDisk;
  let instance: TestInstance;
  let api: ReturnType<typeof apiClient>;

  beforeAll(async () => {
    disk = await mountSmallDisk(4);
    const settings = { MIN_FREE_DISK: "0", RECONCILE_SCHEDULE: "*/2 * * * * *", HEALTH_SCHEDULE: "* * * * * *" };
    instance = await createTestInstance({ ...settings, [store]: disk.variables[store] ?? "" });
    api = apiClient(instance);
    await instance.startApi();
  });

  afterAll(async () => {
    await instance?.remove();
    await disk?.remove();
    expect(await labelledObjects(instance.name)).toEqual([]);
  });

  test("keeps what runs running, also over a restart, and nobody from destroying it", async () => {
    const createFirst = async (name: string) => expectStatus(await api.create({ name }), 201).body;
    const [steady, goner] = [await createFirst("steady"), await createFirst("goner")];
    const objectsOf = async (name: string) =>
      (await labelledObjects(instance.name)).filter((part) => part.includes(name));
    const steadyAnswers = async () => expectStatus(await visit(instance, hostOf(steady.id), "/health"), 200);
    disk.fill();
    const made = await api.create({ name: "made" });
    expect([made.status, made.body["code"]], describeAnswer(made)).toEqual(create);
    if (made.status !== 201) expect(await objectsOf("-made-")).toEqual([]);

    expect(await instance.stopApi("SIGTERM")).toBe(0);
    disk.fill();
    const starting = instance.startApi().catch(() => {}); // it waits until it is well, which takes a while
    const listed = await waitUntil("the API to answer", async () => (await api.list()).body, 20_000);
    const ids = listed.map(({ id }) => id);
    expect(ids).toEqual([steady.id, goner.id, ...(made.status === 201 ? [made.body.id] : [])]);
    await waitUntil("it to go on", steadyAnswers);
    disk.fill();
    expectStatus(await api.destroy(goner.id), 200, { status: "destroyed" });
    expect(await objectsOf("-goner-")).toEqual([]);
    await steadyAnswers();

    disk.empty();
    await starting;
    await waitUntil("it to be well", async () => expectStatus(await api.call("GET", "/healthz"), 200));
    expectStatus(await api.create({ name: "again" }), 201);
    await Promise.all((await api.list()).body.map(({ id }) => api.destroy(id)));
    await waitUntil("everything to be gone", async () => (await objectsOf("-env-")).length === 0, 20_000);
  });
});
