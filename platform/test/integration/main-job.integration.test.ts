import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { apiClient, visit } from "../support/api-client.ts";
import { recordDockerEvents } from "../support/docker-events.ts";
import { createTestInstance, labelledObjects, leftovers, type TestInstance } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);

let instance: TestInstance;
let api: ReturnType<typeof apiClient>;

beforeAll(async () => {
  instance = await createTestInstance({
    CLEANUP_SCHEDULE: "*/2 * * * * *",
    HEALTH_SCHEDULE: "*/30 * * * * *",
    CREATE_TIMEOUT: "5",
  });
  await instance.startApi();
  api = apiClient(instance);
});

afterEach(async () => {
  const { body } = await api.list();
  await Promise.all(body.map(({ id }) => api.destroy(id)));
});

afterAll(async () => {
  await instance?.remove();
  if (instance !== undefined) expect(await labelledObjects(instance.name)).toEqual([]);
});

/** Creates the demo app and returns what the API says of it. */
async function createDemo(body: Record<string, unknown> = {}) {
  const created = await api.create({ name: "demo", ...body });
  expect(created.body).toMatchObject({ status: "running" });
  return created.body;
}

const hostOf = (id: string) => `${id}.localhost`;

describe("creating", () => {
  test("an environment answers at its URL as soon as the call returns, and is gone after destroy", async () => {
    const created = await api.create({ name: "Hello World" });
    expect(created.status).toBe(201);
    const { id } = created.body;
    expect(created.headers.get("location")).toBe(`/envs/${id}`);
    expect(id).toMatch(/^env-hello-world-[a-z0-9]+$/);
    expect(created.body).toMatchObject({
      name: "Hello World",
      status: "running",
      ttl: 1800,
      url: `http://${id}.localhost:${instance.nginxPort}`,
      outage: null,
      services: [{ name: "app" }],
    });
    const page = await visit(instance, hostOf(id));
    expect(page.status).toBe(200);
    expect(page.text).toContain(id);

    const destroyed = await api.destroy(id);
    expect(destroyed).toMatchObject({ status: 200, body: { id, status: "destroyed" } });
    expect(existsSync(join(instance.folder, "logs/archived", id))).toBe(true);
    expect(await visit(instance, hostOf(id))).toEqual({ status: 404, text: "No environment found\n" });
    expect((await api.show(id)).status).toBe(404);
    expect(await leftovers(instance)).toEqual([]);
  });

  test("the container carries its label and its id", async () => {
    const { id, container, network } = await createDemo();
    const { stdout } = await run("docker", ["inspect", container]);
    const [facts] = JSON.parse(stdout) as { Config: { Labels: Record<string, string>; Env: string[] }; NetworkSettings: { Networks: object } }[];
    expect(facts?.Config.Labels).toMatchObject({ "sandbox.env": id, "sandbox.platform": instance.name });
    expect(facts?.Config.Env).toContain(`ENV_ID=${id}`);
    expect(Object.keys(facts?.NetworkSettings.Networks ?? {})).toEqual([network]);
  });

  test("two hundred thousand characters of name are refused, sixty-four of any kind are accepted", async () => {
    expect((await api.create({ name: "x".repeat(65) })).status).toBe(400);
    const nasty = `$(reboot) \`id\` "; } server {' ../../ 🚀 ñ`.padEnd(64, "é").slice(0, 64);
    const { id, name } = await createDemo({ name: nasty });
    expect(name).toBe(nasty);
    expect(id).toMatch(/^env-[a-z0-9-]{1,46}$/);
    expect(await visit(instance, hostOf(id), "/health")).toMatchObject({ status: 200 });
    expect(readFileSync(join(instance.folder, "conf.d", `${id}.conf`), "utf8")).not.toContain("reboot)");
  });

  test("the same Idempotency-Key gives the same environment, also at the same time", async () => {
    const headers = { "idempotency-key": "k-1" };
    const answers = await Promise.all([api.create({ name: "once" }, headers), api.create({ name: "once" }, headers)]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect((await api.create({ name: "once" }, headers)).body.id).toBe(answers[0]?.body.id);
    expect(await api.create({ name: "other" }, headers)).toMatchObject({ status: 409, body: { code: "idempotency_key_reused" } });
  });

  test("a destroy cuts a creation short and leaves nothing", async () => {
    const creating = api.create({ name: "slow", command: ["node", "-e", "setInterval(() => {}, 1000)"] });
    const { id } = await waitUntil("the environment to be listed", async () => (await api.list()).body[0]);
    expect((await api.destroy(id)).status).toBe(200);
    expect(await creating).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect(await leftovers(instance)).toEqual([]);
  });
});

describe("the order that Docker reports", () => {
  test("is network, Nginx on it, container started; and back: container, Nginx off, network", async () => {
    const recording = await recordDockerEvents();
    try {
      const { id, container, network } = await createDemo({ name: "order" });
      const nginx = (await run("docker", ["inspect", "-f", "{{.Id}}", `${instance.name}-nginx`])).stdout.trim();
      await api.destroy(id);
      await waitUntil("the network's removal", () => recording.events.some(({ action, name }) => action === "destroy" && name === network));

      const at = (type: string, action: string, name: string, who?: string) => {
        const index = recording.events.findIndex((event) => event.type === type && event.action === action && event.name === name && (who === undefined || event.container === who));
        expect(index, `${type} ${action} ${name}`).toBeGreaterThanOrEqual(0);
        return index;
      };
      const created = at("network", "create", network);
      expect(created).toBeLessThan(at("network", "connect", network, nginx));
      expect(created).toBeLessThan(at("container", "start", container));
      expect(at("container", "start", container)).toBeLessThan(at("container", "destroy", container));
      expect(at("container", "destroy", container)).toBeLessThan(at("network", "disconnect", network, nginx));
      expect(at("network", "disconnect", network, nginx)).toBeLessThan(at("network", "destroy", network));
    } finally {
      await recording.stop();
    }
  });

  test("a route is never live before its container runs, nor after it is gone", async () => {
    const seen: number[] = [];
    const { id } = await createDemo({ name: "route-order" });
    const over = new AbortController();
    const destroying = api.destroy(id).finally(() => over.abort());
    while (!over.signal.aborted) seen.push((await visit(instance, hostOf(id), "/health")).status);
    await destroying;
    expect(seen.filter((status) => ![200, 404, 502, 504].includes(status))).toEqual([]);
    expect((await visit(instance, hostOf(id), "/health")).status).toBe(404);
  });
});

describe("a creation that fails leaves nothing behind", () => {
  test.each([
    ["the image is missing", { image: "no-such-image:1" }, 422, "image_not_found"],
    ["the command is not there", { command: ["/no/such/command"] }, 422, "image_not_runnable"],
  ])("when %s", async (_what, body, status, code) => {
    expect(await api.create(body)).toMatchObject({ status, body: { code, status } });
    expect(await leftovers(instance)).toEqual([]);
  });

  test("when the container exits at once, with its last lines in the answer", async () => {
    const answer = await api.create({ name: "dies", command: ["node", "-e", "console.log('so long'); process.exit(3)"] });
    expect(answer).toMatchObject({ status: 422, body: { code: "container_exited" } });
    expect(answer.body["detail"]).toContain("exited with code 3");
    expect(answer.body["detail"]).toContain("so long");
    expect(await leftovers(instance)).toEqual([]);
  });

  test("when Nginx refuses, and everyone else stays reachable", async () => {
    const neighbour = await createDemo({ name: "neighbour" });
    writeFileSync(join(instance.folder, "conf.d", "broken.conf"), "this is no nginx configuration {");
    const { id } = await createDemo({ name: "still-works" });
    expect((await visit(instance, hostOf(id))).status).toBe(200);
    expect((await visit(instance, hostOf(neighbour.id))).status).toBe(200);
    expect(existsSync(join(instance.folder, "conf.d", "broken.conf"))).toBe(false);
  });
});

test("an application that is never healthy is kept as degraded, so that its logs can be read", async () => {
  const server = "console.log('no health here'); require('http').createServer((q, r) => r.writeHead(500).end()).listen(3000)";
  const { status, body } = await api.create({ name: "sick", command: ["node", "-e", server] });
  expect(status).toBe(201);
  expect(body.status).toBe("degraded");
  await waitUntil("its log line", async () => (await api.logs(body.id)).body.lines.some((line) => line.includes("no health here")));
});

describe("outages", () => {
  test.each([
    ["crash", "exited"],
    ["pause", "paused"],
    ["network", "running"],
  ])("%s degrades within 10 seconds and recover brings it back", async (mode, state) => {
    const { id, container } = await createDemo({ name: mode });
    expect(await api.outage(id, mode)).toMatchObject({ status: 200, body: { outage: { mode, service: "app", ends_at: null } } });
    const { stdout } = await run("docker", ["inspect", "-f", "{{.State.Status}}", container]);
    expect(stdout.trim()).toBe(state);
    await waitUntil("degraded", async () => (await api.show(id)).body.status === "degraded", 10_000);
    const { checks } = (await api.health(id)).body;
    expect(checks.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(3);

    expect(await api.outage(id, "network")).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect(await api.outage(id, "recover")).toMatchObject({ status: 200, body: { status: "running", outage: null } });
    expect((await visit(instance, hostOf(id), "/health")).status).toBe(200);
  });

  test("stress uses the container's CPU within its limit and stops at recover", async () => {
    const { id, container } = await createDemo({ name: "stress", resources: { cpus: 0.5 } });
    const answer = await api.outage(id, "stress");
    expect(answer).toMatchObject({ status: 200, body: { outage: { mode: "stress" } } });
    const { outage } = answer.body;
    expect(Date.parse(outage?.ends_at ?? "") - Date.parse(outage?.started_at ?? "")).toBe(60_000);
    const load = async () => {
      const { stdout } = await run("docker", ["stats", "--no-stream", "--format", "{{.CPUPerc}}", container]);
      return Number.parseFloat(stdout);
    };
    const busy = await waitUntil("the container to be busy", async () => {
      const percent = await load();
      return percent > 25 && percent;
    }, 20_000);
    expect(busy).toBeLessThan(75);
    expect((await api.outage(id, "recover")).body).toMatchObject({ status: "running", outage: null });
    await waitUntil("the container to be idle", async () => (await load()) < 10, 20_000);
  });

  test("a duration ends an outage by itself", async () => {
    const { id } = await createDemo({ name: "short" });
    await api.outage(id, "pause", { duration: 2 });
    await waitUntil("the outage to end", async () => (await api.show(id)).body.outage === null, 15_000);
    await waitUntil("running", async () => (await api.show(id)).body.status === "running");
    expect((await visit(instance, hostOf(id), "/health")).status).toBe(200);
  });

  test("recover makes a container anew that somebody removed", async () => {
    const { id, container } = await createDemo({ name: "gone" });
    await run("docker", ["rm", "-f", container]);
    expect((await api.outage(id, "recover")).body).toMatchObject({ status: "running" });
    expect((await visit(instance, hostOf(id), "/health")).status).toBe(200);
  });

  test("the guard refuses the platform's own containers, even when a state file names them", async () => {
    const { id } = await createDemo({ name: "guarded" });
    await instance.stopApi();
    const file = join(instance.folder, "envs", `${id}.json`);
    const original = readFileSync(file, "utf8");
    try {
      const record = JSON.parse(original) as { services: { container: string }[] };
      writeFileSync(file, JSON.stringify({ ...record, services: [{ ...record.services[0], container: `${instance.name}-nginx` }] }));
      await instance.startApi();
      for (const mode of ["crash", "pause", "network", "stress", "recover"]) {
        expect(await api.outage(id, mode), mode).toMatchObject({ status: 403, body: { code: "protected_target" } });
      }
      const { stdout } = await run("docker", ["inspect", "-f", "{{.State.Status}}", `${instance.name}-nginx`]);
      expect(stdout.trim()).toBe("running");
    } finally {
      await instance.stopApi();
      writeFileSync(file, original);
      await instance.startApi();
    }
    expect((await api.destroy(id)).status).toBe(200);
  });
});

describe("lifetime", () => {
  test("an expired environment is destroyed and cleanup.log tells", async () => {
    const { id } = await createDemo({ name: "brief", ttl: 10 });
    await waitUntil("expiry", async () => (await api.show(id)).status === 404, 30_000);
    expect(await leftovers(instance)).toEqual([]);
    const lines = readFileSync(join(instance.folder, "logs/cleanup.log"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Record<string, string>);
    const actions = lines.filter((line) => line["env_id"] === id).map((line) => line["action"]);
    expect(actions).toEqual(["expired", "destroyed"]);
    expect(lines.every((line) => !Number.isNaN(Date.parse(line["timestamp"] ?? "")))).toBe(true);
  });

  test("extend moves the end later", async () => {
    const { id, expires_at } = await createDemo({ name: "longer" });
    const { status, body } = await api.extend(id, 600);
    expect(status).toBe(200);
    expect(Date.parse(body.expires_at) - Date.parse(expires_at)).toBe(600_000);
    expect(body.ttl).toBe(2400);
  });

  test("two destroys at once both succeed", async () => {
    const { id } = await createDemo({ name: "twice" });
    const answers = await Promise.all([api.destroy(id), api.destroy(id)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect((await api.destroy(id)).status).toBe(404);
  });
});

describe("logs", () => {
  test("an environment's output is there by id, also after it is gone", async () => {
    const { id } = await createDemo({ name: "talker" });
    await visit(instance, hostOf(id), "/some-page");
    await waitUntil("the request's line", async () => (await api.logs(id, "?grep=some-page")).body.lines.length === 1);
    expect((await api.logs(id, "?service=other")).body.lines).toEqual([]);
    await api.destroy(id);
    expect((await api.logs(id, "?grep=SOME-PAGE")).body.lines).toHaveLength(1);
  });

  test("following sends new lines within a second and ends with the environment", async () => {
    const { id } = await createDemo({ name: "followed" });
    const response = await fetch(`${instance.apiUrl}/envs/${id}/logs?lines=0`, { headers: { accept: "text/event-stream" } });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    let text = "";
    const reading = (async () => {
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk;
    })();
    await visit(instance, hostOf(id), "/follow-me");
    await waitUntil("the line", () => /^data: .*follow-me/m.test(text), 2_000, 20);
    await api.destroy(id);
    await reading;
    expect(text).toContain("event: end");
  });

  test("shipping goes on after a restart of the platform without gaps or doubles", async () => {
    const count = "let n = 0; setInterval(() => console.log('tick ' + n++), 20); require('http').createServer((q, r) => r.end('ok')).listen(3000)";
    const { id } = await createDemo({ name: "ticker", command: ["node", "-e", count] });
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await instance.stopApi(signal);
      await instance.startApi();
    }
    await waitUntil("200 ticks", async () => (await api.logs(id, "?lines=10000&grep=tick")).body.lines.length > 200, 20_000);
    const ticks = (await api.logs(id, "?lines=10000&grep=tick")).body.lines.map((line) => Number(line.split("tick ")[1]));
    expect(ticks).toEqual(ticks.map((_, index) => index));
  });
});

test("events tell the story of an environment in order", async () => {
  const response = await fetch(`${instance.apiUrl}/events`, { headers: { accept: "text/event-stream" } });
  let text = "";
  const reading = (async () => {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk;
  })().catch(() => {});
  const { id } = await createDemo({ name: "story" });
  await api.outage(id, "pause", { duration: 1 });
  await waitUntil("the outage to end", async () => (await api.show(id)).body.outage === null, 15_000);
  await api.destroy(id);
  await waitUntil("the last event", () => text.includes("environment.destroyed"));
  const types = [...text.matchAll(/^data: (\{.*\})$/gm)].map((match) => JSON.parse(match[1] ?? "{}") as { type: string; env_id: string }).filter((event) => event.env_id === id);
  expect(types.map(({ type }) => type).filter((type) => !["environment.degraded", "environment.recovered"].includes(type))).toEqual([
    "environment.creating",
    "environment.running",
    "outage.started",
    "outage.ended",
    "environment.destroying",
    "environment.destroyed",
  ]);
  expect(readFileSync(join(instance.folder, "logs/events.jsonl"), "utf8")).toContain(id);
  await instance.stopApi();
  await reading;
  await instance.startApi();
});

test("/healthz tells of engine, ingress, store and loops", async () => {
  const { status, body } = await api.call<{ parts: Record<string, { ok: boolean }> }>("GET", "/healthz");
  expect(status).toBe(200);
  expect(Object.keys(body.parts)).toEqual(["engine", "ingress", "store", "loops"]);
});

test("SIGTERM ends the platform with exit code 0", async () => {
  const { id } = await createDemo({ name: "survivor" });
  expect(await instance.stopApi("SIGTERM")).toBe(0);
  expect((await visit(instance, hostOf(id), "/health")).status).toBe(200);
  await instance.startApi();
  expect((await api.show(id)).body).toMatchObject({ id, status: "running" });
});
