import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { fillPools } from "../../test/support/fill-pools.ts";
import { useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { reconcile } from "../reconcile/reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

const NOTHING_DONE = { repaired: [], retired: [], orphans: [], failed: [] };
const ready = () => context.ahead.spares.filter(({ state }) => state === "ready").map(({ record }) => record.id);
const pass = () => reconcile(context, { startup: false });

test("a spare that is given away while it is reviewed stays whole, whatever the review finds", async () => {
  await fillPools(context, { spares: 1 });
  context.settings.warmPoolSize = 0;
  const { ensure } = context.engine.images;
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  context.engine.images.ensure = async (...args) => {
    context.engine.images.ensure = ensure;
    asked.resolve();
    await answer.promise;
    return { ...(await ensure(...args)), id: "sha256:another" };
  };
  const review = pass();
  await asked.promise;
  const { id, services } = await createEnvironment(context, {});
  answer.resolve();
  await review;
  expect(context.environments.get(id)).toMatchObject({ status: "running" });
  expect(await context.engine.containers.inspect(services[0]?.container ?? "")).toMatchObject({ state: "running" });
  expect(await pass()).toEqual(NOTHING_DONE);
});

test("a spare whose image is gone is thrown away, and ends no pass", async () => {
  await fillPools(context, { spares: 1 });
  context.engine.images.ensure = async () => {
    throw new PlatformError("image_not_found", "gone");
  };
  expect(await pass()).toEqual(NOTHING_DONE);
  expect(ready()).toEqual([]);
});

test("a spare whose image cannot be looked at now stays, and ends no pass", async () => {
  await fillPools(context, { spares: 1 });
  const [spare] = ready();
  const { ensure } = context.engine.images;
  context.engine.images.ensure = async () => {
    throw new PlatformError("engine_unavailable", "away");
  };
  expect(await pass()).toEqual(NOTHING_DONE);
  context.engine.images.ensure = ensure;
  await waitUntil("nothing to be made", () => context.ahead.filling === null);
  expect(ready()).toEqual([spare]);
});
