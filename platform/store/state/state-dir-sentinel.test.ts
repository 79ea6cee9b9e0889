import { mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { assertStateDir, claimStateDir, type StateDirOptions } from "./state-dir-sentinel.ts";

const SUBNETS = { subnet_pool: "10.172.0.0/16", platform_subnet: "10.171.0.0/24" };
const OTHER_POOL = { ...SUBNETS, subnet_pool: "10.182.0.0/16" };

/** A state folder that is not there yet, and a place for its copy. */
async function aPlace(): Promise<StateDirOptions> {
  const root = await temporaryFolder();
  return { folder: join(root, "envs"), copy: join(root, "cache/state/id"), subnets: SUBNETS, maxTtl: 60 };
}

async function aClaimedPlace(): Promise<StateDirOptions> {
  const place = await aPlace();
  await claimStateDir(place);
  return place;
}

const sentinelOf = (folder: string) => join(folder, ".sentinel");
const read = async ({ folder, copy }: StateDirOptions) => ({
  sentinel: JSON.parse(await readFile(sentinelOf(folder), "utf8")) as { id: string },
  copy: (await readFile(copy, "utf8")).trim(),
});

test("a first start writes the sentinel and its copy, the next ones leave both as they are", async () => {
  const place = await aClaimedPlace();
  const written = await read(place);
  expect(written.sentinel).toEqual({ id: written.copy, ...SUBNETS });
  await claimStateDir(place);
  expect(await read(place)).toEqual(written);
});

test("the copy is written anew where it is gone", async () => {
  const place = await aClaimedPlace();
  const written = await read(place);
  await rm(place.copy);
  await claimStateDir(place);
  expect(await read(place)).toEqual(written);
});

test.each([
  ["is gone", async () => {}],
  ["is empty", async (folder: string) => void (await mkdir(folder))],
  ["is another one", async (folder: string) => claimStateDir({ ...(await aPlace()), folder })],
  [
    "has a sentinel that is none",
    async (folder: string) => {
      await mkdir(folder);
      await writeFile(sentinelOf(folder), "{");
    },
  ],
])("a state folder that %s is refused and left as it is, and the one of before is taken", async (_, replace) => {
  const place = await aClaimedPlace();
  const kept = join(await temporaryFolder(), "kept");
  await rename(place.folder, kept);
  await replace(place.folder);
  const found = async () => [
    await readFile(sentinelOf(place.folder), "utf8").catch(() => null),
    await read({ ...place, folder: kept }),
  ];
  const before = await found();
  for (const start of [assertStateDir, claimStateDir])
    await expect(start(place)).rejects.toThrow(/Cannot start on the state folder ".*\/envs": it is not the one/);
  expect(await found()).toEqual(before);
  await rm(place.folder, { recursive: true, force: true });
  await rename(kept, place.folder);
  await claimStateDir(place);
});

test("another subnet pool is saved where no environment has a state file", async () => {
  const place = await aClaimedPlace();
  await claimStateDir({ ...place, subnets: OTHER_POOL });
  expect((await read(place)).sentinel).toMatchObject(OTHER_POOL);
});

test.each(["env-a.json", "quarantine/env-a.json.2030-01-01"])(
  "another subnet pool is refused where %s is, and nothing is written",
  async (file) => {
    const place = await aClaimedPlace();
    await mkdir(join(place.folder, "quarantine"));
    await writeFile(join(place.folder, file), "{ half");
    const written = await read(place);
    await expect(claimStateDir({ ...place, subnets: OTHER_POOL })).rejects.toThrow(/SUBNET_POOL is .*: env-a\./);
    expect(await read(place)).toEqual(written);
  },
);

test("another subnet pool is saved where a state file is in quarantine for longer than any lifetime", async () => {
  const place = await aClaimedPlace();
  await mkdir(join(place.folder, "quarantine"));
  await writeFile(join(place.folder, "quarantine/env-a.json.2030-01-01"), "{ half");
  await claimStateDir({ ...place, subnets: OTHER_POOL, maxTtl: -1 });
  expect((await read(place)).sentinel).toMatchObject(OTHER_POOL);
});

test("a start fails where the sentinel cannot be read: it may not be missing", async () => {
  const place = await aPlace();
  await mkdir(place.folder);
  await symlink(".sentinel", sentinelOf(place.folder));
  await expect(claimStateDir(place)).rejects.toMatchObject({ code: "storage_failed" });
});
