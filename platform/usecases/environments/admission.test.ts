import { expect, test } from "vitest";
import { isPlatformError } from "../../kernel/errors.ts";
import { useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

test("creations at once cannot exceed the quota, and a failed one gives its place back", async () => {
  platform.settings.quota = { environments: 2, environmentsPerOwner: 0, memoryMb: 0, cpus: 0, pids: 0 };
  // No record is saved, as on a slow disk, until every other creation has been refused.
  const decided = Promise.withResolvers<void>();
  const { save } = platform.environments;
  platform.environments.save = (record) => decided.promise.then(() => save(record));
  const outcomes: string[] = [];
  const creations = Array.from({ length: 6 }, () =>
    platform.make().then(
      ({ status }) => outcomes.push(status),
      (error: unknown) => outcomes.push(isPlatformError(error) ? error.code : String(error)),
    ),
  );
  await waitUntil("four refusals", () => outcomes.length === 4);
  decided.resolve();
  await Promise.all(creations);
  expect(outcomes).toEqual([...Array<string>(4).fill("capacity_exhausted"), "running", "running"]);
  await expect(platform.make()).rejects.toMatchObject({ status: 503, message: expect.stringContaining("2 of 2") });
  await platform.destroy(platform.environments.all()[0]?.id ?? "");
  await expect(platform.make({ image: "missing:1" })).rejects.toMatchObject({ status: 422 });
  expect(await platform.make()).toMatchObject({ status: "running" });
});

test("a creation counts against the quota while its image is being pulled", async () => {
  platform.settings.quota.environmentsPerOwner = 1;
  const pulled = Promise.withResolvers<void>();
  const { ensure } = platform.engine.images;
  platform.engine.images.ensure = async (...args) => {
    await pulled.promise;
    return ensure(...args);
  };
  const first = platform.make({}, { owner: "ann" });
  await expect(platform.make({}, { owner: "ann" })).rejects.toMatchObject({ code: "quota_exceeded" });
  pulled.resolve();
  expect((await first).owner).toBe("ann");
});
