import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { leftovers } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

describePlatform("lifetime, logs and events", { CLEANUP_SCHEDULE: "*/2 * * * * *" }, (platform) => {
  describe("lifetime", () => {
    test("an expired environment is destroyed and cleanup.log tells", async () => {
      const { id } = await platform.createDemo({ name: "brief", ttl: 10 });
      await waitUntil("expiry", async () => expectStatus(await platform.api.show(id), 404), 30_000);
      expect(await leftovers(platform.instance)).toEqual([]);
      const lines = readFileSync(join(platform.instance.folder, "logs/cleanup.log"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, string>);
      const actions = lines.filter((line) => line["env_id"] === id).map((line) => line["action"]);
      expect(actions).toEqual(["expired", "destroyed"]);
      expect(lines.every((line) => !Number.isNaN(Date.parse(line["timestamp"] ?? "")))).toBe(true);
    });

    test("extend moves the end later", async () => {
      const { id, expires_at } = await platform.createDemo({ name: "longer" });
      const { body } = expectStatus(await platform.api.extend(id, 600), 200);
      expect(Date.parse(body.expires_at) - Date.parse(expires_at)).toBe(600_000);
      expect(body.ttl).toBe(2400);
    });

    test("two destroys at once both succeed", async () => {
      const { id } = await platform.createDemo({ name: "twice" });
      const answers = await Promise.all([platform.api.destroy(id), platform.api.destroy(id)]);
      for (const answer of answers) expectStatus(answer, 200);
      expectStatus(await platform.api.destroy(id), 404);
    });
  });

  describe("logs", () => {
    test("an environment's output is there by id, also after it is gone", async () => {
      const { id } = await platform.createDemo({ name: "talker" });
      await visit(platform.instance, hostOf(id), "/some-page");
      await waitUntil(
        "the request's line",
        async () => (await platform.api.logs(id, "?grep=some-page")).body.lines.length === 1,
      );
      expect((await platform.api.logs(id, "?service=other")).body.lines).toEqual([]);
      await platform.api.destroy(id);
      expect((await platform.api.logs(id, "?grep=SOME-PAGE")).body.lines).toHaveLength(1);
    });

    test("a follower of logs gets new lines as they are written, and its stream ends with the environment", async () => {
      const { id } = await platform.createDemo({ name: "followed" });
      const response = await fetch(`${platform.instance.apiUrl}/envs/${id}/logs?lines=0`, {
        headers: { accept: "text/event-stream" },
      });
      expect(response.headers.get("content-type")).toContain("text/event-stream");
      let text = "";
      const reading = (async () => {
        for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk;
      })();
      await visit(platform.instance, hostOf(id), "/follow-me");
      await waitUntil("the line", () => /^data: .*follow-me/m.test(text));
      await platform.api.destroy(id);
      await reading;
      expect(text).toContain("event: end");
    });

    test("shipping goes on after a restart of the platform without gaps or doubles", async () => {
      const count =
        "let n = 0; setInterval(() => console.log('tick ' + n++), 20); require('http').createServer((q, r) => r.end('ok')).listen(3000)";
      const { id } = await platform.createDemo({ name: "ticker", command: ["node", "-e", count] });
      for (const signal of ["SIGKILL", "SIGTERM"] as const) {
        await platform.instance.stopApi(signal);
        await platform.instance.startApi();
      }
      await waitUntil(
        "200 ticks",
        async () => (await platform.api.logs(id, "?lines=10000&grep=tick")).body.lines.length > 200,
        20_000,
      );
      const ticks = (await platform.api.logs(id, "?lines=10000&grep=tick")).body.lines.map((line) =>
        Number(line.split("tick ")[1]),
      );
      expect(ticks).toEqual(ticks.map((_, index) => index));
    });
  });

  test("events tell the story of an environment in order", async () => {
    const response = await fetch(`${platform.instance.apiUrl}/events`, { headers: { accept: "text/event-stream" } });
    let text = "";
    const reading = (async () => {
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk;
    })().catch(() => {});
    const { id } = await platform.createDemo({ name: "story" });
    await platform.api.outage(id, "pause", { duration: 1 });
    await waitUntil("the outage to end", async () => (await platform.api.show(id)).body.outage === null, 15_000);
    await platform.api.destroy(id);
    await waitUntil("the last event", () => text.includes("environment.destroyed"));
    const types = [...text.matchAll(/^data: (\{.*\})$/gm)]
      .map((match) => JSON.parse(match[1] ?? "{}") as { type: string; env_id: string })
      .filter((event) => event.env_id === id);
    expect(
      types.map(({ type }) => type).filter((type) => !["environment.degraded", "environment.recovered"].includes(type)),
    ).toEqual([
      "environment.creating",
      "environment.running",
      "outage.started",
      "outage.ended",
      "environment.destroying",
      "environment.destroyed",
    ]);
    expect(readFileSync(join(platform.instance.folder, "logs/events.jsonl"), "utf8")).toContain(id);
    await platform.instance.stopApi();
    await reading;
    await platform.instance.startApi();
  });

  test("/healthz tells of engine, ingress, store, firewall and loops", async () => {
    const health = await platform.api.call<{ parts: Record<string, { ok: boolean }> }>("GET", "/healthz");
    const { body } = expectStatus(health, 200);
    expect(Object.keys(body.parts)).toEqual(["engine", "ingress", "store", "firewall", "loops", "warm_pool"]);
  });

  test("SIGTERM ends the platform with exit code 0", async () => {
    const { id } = await platform.createDemo({ name: "survivor" });
    expect(await platform.instance.stopApi("SIGTERM")).toBe(0);
    expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);
    await platform.instance.startApi();
    expect((await platform.api.show(id)).body).toMatchObject({ id, status: "running" });
  });
});
