import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { recordDockerEvents } from "../support/docker-events.ts";
import { expectStatus } from "../support/expect-status.ts";
import { leftovers } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);

describePlatform("creating and destroying", { CREATE_TIMEOUT: "5" }, (platform) => {
  describe("creating", () => {
    test("an environment answers at its URL as soon as the call returns, and is gone after destroy", async () => {
      const created = await platform.api.create({ name: "Hello World" });
      expectStatus(created, 201);
      const { id } = created.body;
      expect(created.headers.get("location")).toBe(`/envs/${id}`);
      expect(id).toMatch(/^env-hello-world-[a-z0-9]+$/);
      expect(created.body).toMatchObject({
        name: "Hello World",
        status: "running",
        ttl: 1800,
        url: `http://${id}.localhost:${platform.instance.nginxPort}`,
        outage: null,
        services: [{ name: "app" }],
      });
      const page = await visit(platform.instance, hostOf(id));
      expectStatus(page, 200);
      expect(page.text).toContain(id);

      const destroyed = await platform.api.destroy(id);
      expectStatus(destroyed, 200, { id, status: "destroyed" });
      expect(existsSync(join(platform.instance.folder, "logs/archived", id))).toBe(true);
      expect(existsSync(destroyed.body.archived_logs)).toBe(true); // as seen from here
      expect(await visit(platform.instance, hostOf(id))).toEqual({ status: 404, text: "No environment found\n" });
      expectStatus(await platform.api.show(id), 404);
      expect(await leftovers(platform.instance)).toEqual([]);
    });

    test("the container carries its label and its id", async () => {
      const { id, container, network } = await platform.createDemo();
      const { stdout } = await run("docker", ["inspect", container]);
      const [facts] = JSON.parse(stdout) as {
        Config: { Labels: Record<string, string>; Env: string[] };
        NetworkSettings: { Networks: object };
      }[];
      expect(facts?.Config.Labels).toMatchObject({ "sandbox.env": id, "sandbox.platform": platform.instance.name });
      expect(facts?.Config.Env).toContain(`ENV_ID=${id}`);
      expect(Object.keys(facts?.NetworkSettings.Networks ?? {})).toEqual([network]);
    });

    test("a name may be any 64 characters and reaches no path and no configuration", async () => {
      expectStatus(await platform.api.create({ name: "x".repeat(65) }), 400);
      const nasty = `$(reboot) \`id\` "; } server {' ../../ 🚀 ñ`.padEnd(64, "é").slice(0, 64);
      const { id, name } = await platform.createDemo({ name: nasty });
      expect(name).toBe(nasty);
      expect(id).toMatch(/^env-[a-z0-9-]{1,46}$/);
      expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);
      expect(readFileSync(join(platform.instance.folder, "conf.d", `${id}.conf`), "utf8")).not.toContain("reboot)");
    });

    test("the same Idempotency-Key gives the same environment, also at the same time", async () => {
      const headers = { "idempotency-key": "k-1" };
      const answers = await Promise.all([
        platform.api.create({ name: "once" }, headers),
        platform.api.create({ name: "once" }, headers),
      ]);
      for (const answer of answers) expectStatus(answer, 201);
      expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
      expect((await platform.api.create({ name: "once" }, headers)).body.id).toBe(answers[0]?.body.id);
      expectStatus(await platform.api.create({ name: "other" }, headers), 409, { code: "idempotency_key_reused" });
    });

    test("a destroy cuts a creation short and leaves nothing", async () => {
      const creating = platform.api.create({ name: "slow", command: ["node", "-e", "setInterval(() => {}, 1000)"] });
      const { id } = await waitUntil("the environment to be listed", async () => (await platform.api.list()).body[0]);
      expectStatus(await platform.api.destroy(id), 200);
      expectStatus(await creating, 409, { code: "conflict" });
      expect(await leftovers(platform.instance)).toEqual([]);
    });
  });

  describe("the order that Docker reports", () => {
    test("is network, Nginx on it, container started; and back: container and Nginx off it, network", async () => {
      const recording = await recordDockerEvents();
      try {
        const { id, container, network } = await platform.createDemo({ name: "order" });
        const nginx = (
          await run("docker", ["inspect", "-f", "{{.Id}}", `${platform.instance.name}-nginx`])
        ).stdout.trim();
        await platform.api.destroy(id);
        await waitUntil("the network's removal", () =>
          recording.events.some(({ action, name }) => action === "destroy" && name === network),
        );

        const at = (type: string, action: string, name: string, who?: string) => {
          const index = recording.events.findIndex(
            (event) =>
              event.type === type &&
              event.action === action &&
              event.name === name &&
              (who === undefined || event.container === who),
          );
          expect(index, `${type} ${action} ${name}`).toBeGreaterThanOrEqual(0);
          return index;
        };
        const created = at("network", "create", network);
        expect(created).toBeLessThan(at("network", "connect", network, nginx));
        expect(created).toBeLessThan(at("container", "start", container));
        expect(at("container", "start", container)).toBeLessThan(at("container", "die", container));
        // Where no request is under way Nginx leaves beside the container's end: either may be told first.
        expect(at("container", "die", container)).toBeLessThan(at("container", "destroy", container));
        expect(at("container", "destroy", container)).toBeLessThan(at("network", "destroy", network));
        expect(at("network", "disconnect", network, nginx)).toBeLessThan(at("network", "destroy", network));
      } finally {
        await recording.stop();
      }
    });

    test("a route is never live before its container runs, nor after it is gone", async () => {
      const seen: number[] = [];
      const { id } = await platform.createDemo({ name: "route-order" });
      const over = new AbortController();
      const destroying = platform.api.destroy(id).finally(() => over.abort());
      while (!over.signal.aborted) seen.push((await visit(platform.instance, hostOf(id), "/health")).status);
      await destroying;
      expect(seen.filter((status) => ![200, 404, 502, 504].includes(status))).toEqual([]);
      expectStatus(await visit(platform.instance, hostOf(id), "/health"), 404);
    });
  });

  describe("a creation that fails leaves nothing behind", () => {
    test.each([
      ["the image is missing", { image: "no-such-image:1" }, 422, "image_not_found"],
      ["the command is not there", { command: ["/no/such/command"] }, 422, "image_not_runnable"],
    ])("when %s", async (_what, body, status, code) => {
      expectStatus(await platform.api.create(body), status, { code, status });
      expect(await leftovers(platform.instance)).toEqual([]);
    });

    test("when the container exits at once, with its last lines in the answer", async () => {
      const answer = await platform.api.create({
        name: "dies",
        command: ["node", "-e", "console.log('so long'); process.exit(3)"],
      });
      expectStatus(answer, 422, { code: "container_exited" });
      expect(answer.body["detail"]).toContain("exited with code 3");
      expect(answer.body["detail"]).toContain("so long");
      expect(await leftovers(platform.instance)).toEqual([]);
    });

    test("when Nginx refuses, and everyone else stays reachable", async () => {
      const neighbour = await platform.createDemo({ name: "neighbour" });
      writeFileSync(join(platform.instance.folder, "conf.d", "broken.conf"), "this is no nginx configuration {");
      const { id } = await platform.createDemo({ name: "still-works" });
      expectStatus(await visit(platform.instance, hostOf(id)), 200);
      expectStatus(await visit(platform.instance, hostOf(neighbour.id)), 200);
      expect(existsSync(join(platform.instance.folder, "conf.d", "broken.conf"))).toBe(false);
    });
  });

  test("an application that is never healthy is kept as degraded, so that its logs can be read", async () => {
    const server =
      "console.log('no health here'); require('http').createServer((q, r) => r.writeHead(500).end()).listen(3000)";
    const created = await platform.api.create({ name: "sick", command: ["node", "-e", server] });
    const { body } = expectStatus(created, 201, { status: "degraded" });
    await waitUntil("its log line", async () =>
      (await platform.api.logs(body.id)).body.lines.some((line) => line.includes("no health here")),
    );
  });
});
