import { Writable } from "node:stream";
import request from "supertest";
import { beforeEach, describe, expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { containerOf, createFakeApp, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { findEnvironment } from "./find-environment.ts";

const VALUE = 's3cret-value-"quoted"-42';
const secrets = { DB_PASSWORD: VALUE };

let platform: FakePlatform;
let app: ReturnType<typeof createFakeApp>;

useFakePlatform((fresh) => {
  platform = fresh;
  app = createFakeApp(platform);
});

const create = (body: object, key = "") =>
  request(app)
    .post("/envs")
    .set(key === "" ? {} : { "idempotency-key": key })
    .send(body);

/** The environment variables of the containers that are made meanwhile. */
async function givenEnv(create: () => Promise<unknown>): Promise<Record<string, string>[]> {
  const given: Record<string, string>[] = [];
  const original = platform.engine.containers.create;
  platform.engine.containers.create = (spec) => {
    given.push(spec.env);
    return original(spec);
  };
  await create();
  return given;
}

test("a container gets its secrets, which no answer, record or event shows", async () => {
  let body: unknown;
  const [env] = await givenEnv(async () => {
    body = (await create({ env: { A: "b" }, secrets })).body;
  });
  expect(env).toMatchObject({ A: "b", DB_PASSWORD: VALUE });
  const [record] = platform.environments.all();
  expect(record?.secrets).toEqual(["DB_PASSWORD"]);
  const shown = [body, record, platform.events.emitted, (await request(app).get("/envs")).body];
  expect(JSON.stringify(shown)).not.toContain("s3cret-value");
});

test("a container that is made anew gets its secrets again", async () => {
  const { body } = await create({ secrets });
  await platform.engine.containers.remove(body.container);
  const [env] = await givenEnv(() => platform.reconcile({ startup: false }));
  expect(env).toMatchObject({ DB_PASSWORD: VALUE });
});

test("a container is not made anew when its secrets are gone", async () => {
  const { body } = await create({ secrets });
  await platform.secrets.remove(body.id);
  await platform.engine.containers.remove(body.container);
  expect((await platform.reconcile({ startup: false })).failed).toEqual([body.id]);
  expect(await platform.engine.containers.inspect(body.container)).toBeNull();
});

describe("secrets are removed", () => {
  test("with their environment", async () => {
    const { body } = await create({ secrets });
    expect(await platform.secrets.list()).toEqual([body.id]);
    await request(app).delete(`/envs/${body.id}`);
    expect(await platform.secrets.list()).toEqual([]);
  });

  test("with a failed creation", async () => {
    expect((await create({ image: "missing:1", secrets })).status).toBe(422);
    platform.router.upsert = () => Promise.reject(new PlatformError("ingress_rejected", "Cannot route: no"));
    expect((await create({ secrets })).status).toBe(503);
    expect(await platform.secrets.list()).toEqual([]);
  });

  test("when their environment has no record, but not while its state file is in quarantine", async () => {
    await platform.secrets.save("env-stray-1", secrets);
    await platform.secrets.save("env-held-1", secrets);
    platform.environments.quarantine.push({ id: "env-held-1", since: platform.clock.now() });
    expect((await platform.reconcile({ startup: false })).orphans).toContain("env-stray-1");
    expect(await platform.secrets.list()).toEqual(["env-held-1"]);
  });
});

test("create answers storage_failed and makes nothing when the secrets cannot be saved", async () => {
  platform.secrets.failNextWrites();
  const response = await create({ secrets });
  expect(response.body.code).toBe("storage_failed");
  expect(platform.environments.all()).toEqual([]);
});

test.each(["create", "start"] as const)(
  "a secret in the engine's error of %s is masked in the answer and in the events",
  async (call) => {
    const words = (value: string) => `Cannot ${call}: bad variable DB_PASSWORD=${value}`;
    const refuse = () => Promise.reject(new PlatformError("engine_failed", words(VALUE)));
    Object.assign(platform.engine.containers, { [call]: refuse });
    const { body } = await create({ secrets });
    expect(body.detail).toBe(words("[redacted]"));
    const failed = platform.events.emitted.find(({ type }) => type === "environment.failed");
    expect(failed?.data).toEqual({ reason: words("[redacted]") });
    expect(JSON.stringify(platform.events.emitted)).not.toContain("s3cret-value");
  },
);

test("a secret in the last output of a failed creation is masked, also when the output begins within it", async () => {
  const long = `${"k".repeat(8_000)}-the-end-of-it`;
  const prints = [`${"y".repeat(65_530)}${long}`, ...Array.from({ length: 19 }, () => "x")];
  platform.engine.addImage("crashing:1", [3000], { prints, exitCode: 1 });
  platform.probe.check = async () => ({ ok: false, status: null, latency_ms: 1, fault: "environment" });
  void platform.handleEngineEvents(platform.stopping);
  const { body } = await create({ image: "crashing:1", secrets: { KEY: long } });
  expect(body).toMatchObject({ code: "container_exited", detail: expect.stringContaining("\nx\nx") });
  expect(body.detail).not.toContain("-the-end-of-it");
});

describe("a secret in an error of the engine is masked", () => {
  const quoting = () =>
    Promise.reject(
      new PlatformError("engine_failed", `Cannot do it: DB_PASSWORD=${VALUE}`, { cause: new Error(`bad ${VALUE}`) }),
    );
  let id = "";
  let logged = "";

  beforeEach(async () => {
    platform.log.to = new Writable({ write: (chunk, _, done) => ((logged += String(chunk)), done()) });
    logged = "";
    id = (await create({ secrets })).body.id;
  });
  const expectNone = (...told: unknown[]) => {
    expect(JSON.stringify([told, platform.events.emitted, platform.audit.entries])).not.toContain("s3cret-value");
    expect(logged).not.toContain("s3cret-value");
  };
  const outage = (mode: string) => request(app).post(`/envs/${id}/outage`).send({ mode });

  test("when the environment is recovered and when its outage ends by itself", async () => {
    await outage("crash");
    platform.engine.containers.start = quoting;
    const { body } = await outage("recover");
    expect(body.detail).toBe("Cannot do it: DB_PASSWORD=[redacted]");
    const record = findEnvironment(platform.environments, id);
    const over = { ...record, outage: record.outage && { ...record.outage, ends_at: record.created_at } };
    await platform.environments.save(over);
    platform.clock.advance(1_000);
    await platform.endOutages();
    expect(platform.audit.entries.at(-1)?.result).toContain("[redacted]");
    expectNone(body);
  });

  test("when the environment is repaired", async () => {
    await platform.engine.containers.kill(containerOf(id), "SIGKILL");
    platform.engine.containers.start = quoting;
    expect((await platform.reconcile({ startup: false })).failed).toEqual([id]);
    expect(platform.events.emitted.at(-1)?.data).toEqual({ reason: "Cannot do it: DB_PASSWORD=[redacted]" });
    expectNone();
  });

  test("when the environment is destroyed and when it expires", async () => {
    platform.engine.containers.remove = quoting;
    const { body } = await request(app).delete(`/envs/${id}`);
    expect(body.detail).toContain("[redacted]");
    platform.clock.advance(1_800_000);
    await platform.cleanupExpired();
    expect(platform.audit.entries.at(-1)?.result).toContain("[redacted]");
    expectNone(body);
  });

  test("when an outage is injected", async () => {
    platform.engine.containers.pause = quoting;
    expectNone((await outage("pause")).body);
  });

  test("when only the cause of the error quotes it", async () => {
    const cause = Object.assign(new Error("bad"), { json: { message: VALUE } });
    platform.engine.containers.remove = () => Promise.reject(new PlatformError("engine_failed", "Cannot", { cause }));
    platform.clock.advance(1_800_000);
    await platform.cleanupExpired();
    expect(logged).toContain("cannot destroy an expired environment");
    expectNone();
  });

  test("or the error is left out, when the secrets cannot be read", async () => {
    await platform.secrets.remove(id);
    platform.engine.containers.remove = quoting;
    const { body } = await request(app).delete(`/envs/${id}`);
    expect(body).toMatchObject({ code: "engine_failed", detail: expect.stringContaining("why is not told") });
    expectNone(body);
  });
});

test.each([
  [{ env: { A: "x" }, secrets: { A: VALUE } }, "secrets.A"],
  [{ secrets: { PORT: VALUE } }, "secrets.PORT"],
  [{ secrets: { A: 7 } }, "secrets.A"],
  [{ secrets: { "a-b": VALUE } }, "secrets.a-b"],
])("create refuses %j, names the secret and does not quote it", async (body, path) => {
  const response = await create(body);
  expect(response.status).toBe(400);
  expect(response.body.errors.map((error: { path: string }) => error.path)).toContain(path);
  expect(JSON.stringify(response.body)).not.toContain("s3cret-value");
});

test.each(["", "five5", "      ", "five5\nfive5\n"])(
  "create refuses the secret %j, which could not be masked in logs",
  async (secret) => {
    const { status, body } = await create({ secrets: { DB_PASSWORD: secret } });
    expect([status, body.code]).toEqual([400, "invalid_request"]);
    expect(body.errors).toEqual([
      { path: "secrets.DB_PASSWORD", message: expect.stringMatching(/at least 6 characters.*give it in env/) },
    ]);
  },
);

test("create takes a secret of six characters, and any value in env", async () => {
  expect((await create({ secrets: { DB_PASSWORD: "sesame" }, env: { DEBUG: "1" } })).status).toBe(201);
});

test("a repeated create with other secrets is refused, although the saved digest does not depend on them", async () => {
  const first = (await create({ secrets }, "k")).body.id;
  expect((await create({ secrets }, "k")).body.id).toBe(first);
  expect((await create({ secrets: { DB_PASSWORD: "another" } }, "k")).body.code).toBe("idempotency_key_reused");
  const digest = platform.environments.get(first)?.idempotency?.digest;
  await create({ secrets: { DB_PASSWORD: "another" } }, "k2");
  expect(platform.environments.all().map(({ idempotency }) => idempotency?.digest)).toEqual([digest, digest]);
});
