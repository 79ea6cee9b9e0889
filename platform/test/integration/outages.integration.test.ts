import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);

describePlatform("outages", {}, (platform) => {
  test.each([
    ["crash", "exited"],
    ["pause", "paused"],
    ["network", "running"],
  ])("%s degrades within 10 seconds and recover brings it back", async (mode, state) => {
    const { id, container } = await platform.createDemo({ name: mode });
    expect(await platform.api.outage(id, mode)).toMatchObject({
      status: 200,
      body: { outage: { mode, service: "app", ends_at: null } },
    });
    const { stdout } = await run("docker", ["inspect", "-f", "{{.State.Status}}", container]);
    expect(stdout.trim()).toBe(state);
    await waitUntil("degraded", async () => (await platform.api.show(id)).body.status === "degraded", 10_000);
    const { checks } = (await platform.api.health(id)).body;
    expect(checks.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(3);

    expectStatus(await platform.api.outage(id, "network"), 409, { code: "conflict" });
    expectStatus(await platform.api.outage(id, "recover"), 200, { status: "running", outage: null });
    expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);
  });

  test("stress uses the container's CPU within its limit and stops at recover", async () => {
    const { id, container } = await platform.createDemo({ name: "stress", resources: { cpus: 0.5 } });
    const answer = await platform.api.outage(id, "stress");
    const { outage } = expectStatus(answer, 200, { outage: { mode: "stress" } }).body;
    expect(Date.parse(outage?.ends_at ?? "") - Date.parse(outage?.started_at ?? "")).toBe(60_000);
    const load = async () => {
      const { stdout } = await run("docker", ["stats", "--no-stream", "--format", "{{.CPUPerc}}", container]);
      return Number.parseFloat(stdout);
    };
    const busy = await waitUntil(
      "the container to be busy",
      async () => {
        const percent = await load();
        return percent > 25 && percent;
      },
      20_000,
    );
    expect(busy).toBeLessThan(75);
    expectStatus(await platform.api.outage(id, "recover"), 200, { status: "running", outage: null });
    await waitUntil("the container to be idle", async () => (await load()) < 10, 20_000);
  });

  test("a duration ends an outage by itself", async () => {
    const { id } = await platform.createDemo({ name: "short" });
    await platform.api.outage(id, "pause", { duration: 2 });
    await waitUntil("the outage to end", async () => (await platform.api.show(id)).body.outage === null, 15_000);
    await waitUntil("running", async () => (await platform.api.show(id)).body.status === "running");
    expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);
  });

  test("recover makes a container anew that somebody removed", async () => {
    const { id, container } = await platform.createDemo({ name: "gone" });
    await run("docker", ["rm", "-f", container]);
    expectStatus(await platform.api.outage(id, "recover"), 200, { status: "running" });
    expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);
  });

  test("the guard refuses the platform's own containers, even when a state file names them", async () => {
    const { id } = await platform.createDemo({ name: "guarded" });
    await platform.instance.stopApi();
    const file = join(platform.instance.folder, "envs", `${id}.json`);
    const original = readFileSync(file, "utf8");
    try {
      const record = JSON.parse(original) as { services: { container: string }[] };
      writeFileSync(
        file,
        JSON.stringify({
          ...record,
          services: [{ ...record.services[0], container: `${platform.instance.name}-nginx` }],
        }),
      );
      await platform.instance.startApi();
      for (const mode of ["crash", "pause", "network", "stress", "recover"]) {
        expectStatus(await platform.api.outage(id, mode), 403, { code: "protected_target" });
      }
      const { stdout } = await run("docker", ["inspect", "-f", "{{.State.Status}}", `${platform.instance.name}-nginx`]);
      expect(stdout.trim()).toBe("running");
    } finally {
      await platform.instance.stopApi();
      writeFileSync(file, original);
      await platform.instance.startApi();
    }
    expectStatus(await platform.api.destroy(id), 200);
  });
});
