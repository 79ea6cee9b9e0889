import { expect, test } from "vitest";
import type { FakePlatform } from "../../test/support/fake-platform.ts";
import { useTokenApp, type Name } from "../../test/support/token-app.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;
const { as, createAs } = useTokenApp((fresh) => {
  platform = fresh;
});

const createOnce = (name: Name) => as(name).post("/envs").set("idempotency-key", "k").send({});

test("a member's list has its own environments, an admin's and a viewer's have all", async () => {
  const [ann, bob] = [await createAs("ann", { name: "a" }), await createAs("bob", { name: "b" })];
  const listed = async (name: Name) => (await as(name).get("/envs")).body.map(({ id }: { id: string }) => id);
  expect(platform.environments.get(ann)?.owner).toBe("ann");
  expect(await listed("ann")).toEqual([ann]);
  expect(await listed("root")).toEqual([ann, bob]);
  expect(await listed("eve")).toEqual([ann, bob]);
});

test.each([
  ["get", "", undefined],
  ["delete", "", undefined],
  ["put", "", undefined],
  ["post", "/extend", { seconds: 60 }],
  ["post", "/extend", { seconds: "wrong" }],
  ["post", "/outage", { mode: "pause" }],
  ["get", "/logs", undefined],
  ["get", "/logs/", undefined],
  ["get", "/health", undefined],
  ["get", "/deploys", undefined],
] as const)("%s of another member's %s %j answers as if the environment did not exist", async (method, path, body) => {
  const other = await createAs("bob");
  for (const root of ["/envs", "/ENVS"]) {
    const call = (id: string) => as("ann")[method](`${root}/${id}${path}`).send(body);
    const [response, never] = [await call(other), await call("env-never-1")];
    expect(response.status).toBe(404);
    expect(response.body.detail.replace(other, "")).toBe(never.body.detail.replace("env-never-1", ""));
  }
  expect(platform.environments.get(other)).toMatchObject({ status: "running", outage: null, ttl: 1800 });
});

test("another member's environment costs the same lookups as one that never existed", async () => {
  const other = await createAs("bob");
  const looked: string[] = [];
  const { archivedOwner } = platform.logs;
  platform.logs.archivedOwner = (id) => (looked.push(id), archivedOwner(id));
  for (const id of [other, "env-never-1"]) expect((await as("ann").get(`/envs/${id}`)).status).toBe(404);
  expect(looked).toEqual([other, "env-never-1"]);
});

test("a member may show, extend, break and destroy its own environment", async () => {
  const id = await createAs("ann");
  expect((await as("ann").get(`/envs/${id}`)).status).toBe(200);
  expect((await as("ann").post(`/envs/${id}/extend`).send({ seconds: 60 })).status).toBe(200);
  expect((await as("ann").post(`/envs/${id}/outage`).send({ mode: "pause" })).status).toBe(200);
  expect((await as("ann").delete(`/envs/${id}`)).status).toBe(200);
});

test("archived logs are read by their owner and by viewers, and not by another member", async () => {
  const id = await createAs("ann");
  await platform.logs.append(id, [
    { timestamp: "2030-01-01T00:00:00.000000000Z", service: "app", stream: "stdout", text: "hello" },
  ]);
  await as("ann").delete(`/envs/${id}`);
  expect((await as("ann").get(`/envs/${id}/logs`)).body.lines).toHaveLength(1);
  expect((await as("bob").get(`/envs/${id}/logs`)).status).toBe(404);
  expect((await as("eve").get(`/envs/${id}/logs`)).status).toBe(200);
});

test("two members with the same Idempotency-Key get an environment each", async () => {
  const [ann, bob] = [(await createOnce("ann")).body.id, (await createOnce("bob")).body.id];
  expect(ann).not.toBe(bob);
  expect((await createOnce("ann")).body.id).toBe(ann);
});

test("two members with the same Idempotency-Key get an environment each also when they create at once", async () => {
  const gate = Promise.withResolvers<void>();
  const { create } = platform.engine.containers;
  platform.engine.containers.create = (spec) => gate.promise.then(() => create(spec));
  const both = Promise.all([createOnce("ann"), createOnce("bob")]);
  await waitUntil("both creations", () => platform.environments.all().length === 2);
  gate.resolve();
  const [ann, bob] = await both;
  expect([ann.status, bob.status]).toEqual([201, 201]);
  expect(platform.environments.get(ann.body.id)?.owner).toBe("ann");
  expect(platform.environments.get(bob.body.id)?.owner).toBe("bob");
});

test("a member's event stream has the events of its own environments only, their end included", async () => {
  const stream = as("ann")
    .get("/events")
    .set("last-event-id", "0")
    .then(({ text }) => text);
  const [ann, bob] = [await createAs("ann"), await createAs("bob")];
  await as("bob").delete(`/envs/${bob}`);
  await as("ann").delete(`/envs/${ann}`);
  platform.events.emit({ type: "platform.stopping", env_id: null });
  await platform.events.close(); // ends the stream after the events before it
  const text = await stream;
  expect(text.match(/^event: environment\..*$/gm)).toEqual([
    "event: environment.creating",
    "event: environment.running",
    "event: environment.destroying",
    "event: environment.destroyed",
  ]);
  expect(text).not.toContain(bob);
  expect(text).not.toContain("platform.stopping");
});

test.each(["/halt", "/HALT/"])("a member may not POST %s", async (path) => {
  expect((await as("ann").post(path)).body.code).toBe("forbidden");
});

test("a viewer reads every environment and changes none", async () => {
  const id = await createAs("ann");
  expect((await as("eve").get(`/envs/${id}`)).status).toBe(200);
  for (const call of [
    as("eve").post("/envs").send({}),
    as("eve").delete(`/envs/${id}`),
    as("eve").post(`/envs/${id}/outage`).send({ mode: "crash" }),
    as("eve").post("/halt"),
  ]) {
    expect((await call).body).toMatchObject({ status: 403, code: "forbidden" });
  }
  expect(platform.environments.all()).toHaveLength(1);
});
