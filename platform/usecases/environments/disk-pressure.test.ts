import { expect, test } from "vitest";
import { useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

const GIB = 2 ** 30;
let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const loops = { ok: true, detail: "" };
const pruned = () => platform.events.emitted.filter(({ type }) => type === "archive.pruned");

function archive(id: string, bytes: number, ageSeconds = 60): void {
  platform.archives.archives.push({ id, bytes, lastWritten: platform.clock.now() - ageSeconds * 1000 });
}

/** A disk on which removing an archive makes its bytes free. */
function diskOf(freeBytes: number): void {
  const held = () => platform.archives.archives.reduce((sum, { bytes }) => sum + bytes, 0);
  const all = freeBytes + held();
  platform.diskSpace.free = async () => ({ state: all - held(), logs: all - held() });
}

test("create answers 503 disk_full below MIN_FREE_DISK and makes nothing, and healthz says why", async () => {
  platform.diskSpace.now = { state: 2 * GIB, logs: GIB / 2 };
  await expect(platform.make({})).rejects.toMatchObject({
    code: "disk_full",
    status: 503,
    message: expect.stringMatching(/logs \(LOGS_DIR\) has 512 MiB free, less than the 1024 MiB of MIN_FREE_DISK/),
  });
  expect(platform.environments.all()).toEqual([]);
  expect(platform.workloads.capacity()).toEqual({ environments: 4 });
  const { status, parts } = await platform.readPlatformHealth(loops);
  expect(status).toBe("failing");
  expect(parts.store).toMatchObject({ ok: false, detail: expect.stringContaining("new environments are refused") });
});

test("healthz has the free space while there is enough", async () => {
  platform.diskSpace.now = { state: 3 * GIB, logs: 5 * GIB };
  expect((await platform.readPlatformHealth(loops)).parts.store.detail).toContain("3072 MiB free");
});

test("create drops the oldest archives when the disk is full, and no more than it needs", async () => {
  archive("env-young-1", 200, 10);
  archive("env-old-1", 200, 30);
  archive("env-older-1", 200, 40);
  diskOf(GIB - 300);
  await platform.make({});
  expect(pruned()).toMatchObject([
    { env_id: "env-older-1", data: { bytes: 200, reason: "disk" } },
    { env_id: "env-old-1", data: { bytes: 200, reason: "disk" } },
  ]);
  expect(platform.archives.archives.map(({ id }) => id)).toEqual(["env-young-1"]);
});

test("prune drops archives by age and by size, each with an event", async () => {
  archive("env-aged-1", 5, platform.settings.archiveMaxAge + 1);
  archive("env-large-1", 0.7 * GIB, 50);
  archive("env-fits-1", 0.7 * GIB, 20);
  await platform.disk.prune();
  expect(pruned().map(({ env_id, data }) => [env_id, data?.["reason"]])).toEqual([
    ["env-aged-1", "age"],
    ["env-large-1", "size"],
  ]);
});

test("prune drops the other archives when one cannot be removed", async () => {
  archive("env-stuck-1", 5, platform.settings.archiveMaxAge + 2);
  archive("env-aged-1", 5, platform.settings.archiveMaxAge + 1);
  const { remove } = platform.archives;
  platform.archives.remove = async (id) => {
    if (id === "env-stuck-1") throw new Error("EIO");
    await remove(id);
  };
  await platform.disk.prune();
  expect(platform.archives.archives.map(({ id }) => id)).toEqual(["env-stuck-1"]);
});

test("create answers storage_failed when the state file cannot be saved, and leaves nothing, not even a subnet", async () => {
  platform.environments.failNextWrites(99);
  await expect(platform.make({})).rejects.toMatchObject({ code: "storage_failed" });
  platform.environments.failNextWrites(0);
  expect(platform.environments.all()).toEqual([]);
  expect(platform.workloads.capacity()).toEqual({ environments: 4 });
  expect((await platform.engine.observe()).networks).toHaveLength(1);
});

test("an environment can be destroyed while its state file cannot be saved", async () => {
  const { id } = await platform.make({});
  platform.environments.failNextWrites(1);
  expect((await platform.destroy(id)).status).toBe("destroyed");
  expect(platform.environments.get(id)).toBeNull();
  expect((await platform.engine.observe()).containers).toHaveLength(1);
});

test("recover repairs an environment while its state file cannot be saved, and fails when it cannot be saved afterwards", async () => {
  const { id } = await platform.make({});
  const state = async () => (await platform.engine.containers.inspect(`sandbox-${id}-app`))?.state;
  const recoverWith = async (refusals: number) => {
    await platform.injectOutage(id, { mode: "pause" });
    platform.environments.failNextWrites(refusals);
    return platform.recover(id);
  };
  expect((await recoverWith(1)).outage).toBeNull();
  expect(await state()).toBe("running");
  await expect(recoverWith(2)).rejects.toMatchObject({ code: "storage_failed" });
  expect(await state()).toBe("running");
  expect(platform.environments.get(id)?.outage?.mode).toBe("pause");
});
