import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { EnvironmentView } from "../../domain/environment/view.ts";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { waitUntil } from "../support/wait-until.ts";
import { expectWholeOrGone } from "../support/whole-or-gone.ts";

const inspect = (container: string, format: string): Promise<string> => docker("inspect", "-f", format, container);
const stateOf = (container: string): Promise<string> => inspect(container, "{{.State.Status}}");

/** By the name of an environment, whether its container is broken. */
const BROKEN: Record<string, (container: string) => Promise<boolean>> = {
  crash: async (container) => (await stateOf(container)) === "exited",
  pause: async (container) => (await stateOf(container)) === "paused",
  network: async (container) => (await inspect(container, "{{len .NetworkSettings.Networks}}")) === "0",
  stress: async (container) => (await docker("top", container, "-o", "pid,comm")).includes("stress-ng"),
  // Crashed, and removed by hand: it stays down until the outage ends.
  gone: (container) =>
    stateOf(container).then(
      () => false,
      () => true,
    ),
};

/** `end` in milliseconds since the epoch. */
type Broken = Pick<EnvironmentView, "id" | "name" | "container"> & { end: number };

describePlatform(
  "outages",
  { HEALTH_SCHEDULE: "* * * * * *" },
  (platform) => {
    const outageOf = async (id: string) => (await platform.api.show(id)).body.outage;
    const expectHealthy = async (id: string) =>
      expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);

    async function expectDegradesAndRecovers(outage: string): Promise<void> {
      const { id, container } = await platform.createDemo({ name: outage });
      const started = { outage: { mode: outage, service: "app", ends_at: null } };
      expectStatus(await platform.api.outage(id, outage), 200, started);
      expect(await BROKEN[outage]?.(container), outage).toBe(true);
      await waitUntil(
        `${outage} to degrade`,
        async () => (await platform.api.show(id)).body.status === "degraded",
        30_000,
      );
      const { checks } = (await platform.api.health(id)).body;
      expect(checks.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(3);

      expectStatus(await platform.api.outage(id, "network"), 409, { code: "conflict" });
      expectStatus(await platform.api.outage(id, "recover"), 200, { status: "running", outage: null });
      await expectHealthy(id);
    }

    test("crash, pause and network outages degrade an environment after three failed checks until it is recovered", () =>
      Promise.all(["crash", "pause", "network"].map(expectDegradesAndRecovers)));

    test("a stress outage uses processor time of the container that it is for, and recover ends it", async () => {
      const { id, container } = await platform.createDemo({ name: "stress", resources: { cpus: 0.5 } });
      const answer = await platform.api.outage(id, "stress");
      const { outage } = expectStatus(answer, 200, { outage: { mode: "stress" } }).body;
      expect(Date.parse(outage?.ends_at ?? "") - Date.parse(outage?.started_at ?? "")).toBe(60_000);
      const usedSeconds = async () => {
        const processes = (await docker("top", container, "-o", "pid,comm,cputimes")).split("\n");
        const used = processes
          .filter((line) => line.includes("stress-ng"))
          .map((line) => Number(line.split(/\s+/).at(-1)));
        return used.reduce((sum, seconds) => sum + seconds, 0);
      };
      await waitUntil("a second of processor time", async () => (await usedSeconds()) >= 1, 30_000);
      expectStatus(await platform.api.outage(id, "recover"), 200, { status: "running", outage: null });
      expect(await BROKEN["stress"]?.(container)).toBe(false);
    });

    test("an outage with a duration ends by itself", async () => {
      const { id } = await platform.createDemo({ name: "short" });
      expectStatus(await platform.api.outage(id, "pause", { duration: 2 }), 200);
      await waitUntil("the end of the outage", async () => (await outageOf(id)) === null, 20_000);
      await waitUntil("running", async () => (await platform.api.show(id)).body.status === "running", 20_000);
      await expectHealthy(id);
    });

    test("recover replaces a container that was removed by hand", async () => {
      const { id, container } = await platform.createDemo({ name: "gone" });
      await docker("rm", "-f", container);
      expectStatus(await platform.api.outage(id, "recover"), 200, { status: "running" });
      await expectHealthy(id);
    });

    test("an outage touches the environment's own container, although its state file names Nginx's", async () => {
      const { id, container } = await platform.createDemo({ name: "misled" });
      const nginx = `${platform.instance.name}-nginx`;
      await platform.instance.stopApi();
      const file = join(platform.instance.folder, "envs", `${id}.json`);
      writeFileSync(file, readFileSync(file, "utf8").replaceAll(`"${container}"`, `"${nginx}"`));
      await platform.instance.startApi();
      expect((await platform.api.show(id)).body.container).toBe(nginx);
      const { StartedAt } = JSON.parse(await inspect(nginx, "{{json .State}}")) as { StartedAt: string };
      for (const outage of ["pause", "network", "stress", "crash"]) {
        expectStatus(await platform.api.outage(id, outage), 200);
        expect(await BROKEN[outage]?.(container), outage).toBe(true);
        expect(JSON.parse(await inspect(nginx, "{{json .State}}"))).toMatchObject({ Status: "running", StartedAt });
        expectStatus(await platform.api.outage(id, "recover"), 200, { status: "running" });
      }
    });

    /** Breaks an environment in each way, for so many seconds, and kills the platform. */
    async function breakAllAndDie(duration: number): Promise<Broken[]> {
      const made = await Promise.all(Object.keys(BROKEN).map((name) => platform.createDemo({ name })));
      const broken = await Promise.all(
        made.map(async ({ id, name }) => {
          const answer = await platform.api.outage(id, name === "gone" ? "crash" : name, { duration });
          return expectStatus(answer, 200).body;
        }),
      );
      await platform.instance.stopApi("SIGKILL");
      await docker("rm", "-f", made.find(({ name }) => name === "gone")?.container ?? "");
      return broken.map(({ id, name, container, outage }) => {
        return { id, name, container, end: Date.parse(outage?.ends_at ?? "") };
      });
    }

    async function expectEnds(broken: Broken[]): Promise<void> {
      await Promise.all(
        broken.map(async ({ id, name, end }) => {
          const isOver = async () => (await platform.api.show(id)).body.outage === null;
          await waitUntil(`the end of ${name}`, isOver, 60_000, 50);
          expect(Date.now(), name).toBeGreaterThanOrEqual(end);
        }),
      );
      await expectWholeOrGone(platform.instance);
      for (const { id, name, container } of broken) {
        expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);
        expect(await BROKEN[name]?.(container), name).toBe(false);
      }
    }

    test("outages end in time and not before, although the platform is killed meanwhile", async () => {
      const broken = await breakAllAndDie(20);
      await platform.instance.startApi();
      for (const { name, container, end } of broken) {
        const isBroken = await BROKEN[name]?.(container);
        if (Date.now() < end) expect(isBroken, name).toBe(true);
      }
      await expectEnds(broken);
    });

    test("outages that were over while the platform was down end at its next start", async () => {
      const broken = await breakAllAndDie(3);
      await waitUntil("their ends", () => broken.every(({ end }) => Date.now() > end), 30_000);
      await platform.instance.startApi();
      await expectEnds(broken);
    });

    test("/halt ends every outage and touches no other environment", async () => {
      const names = ["crash", "pause", "network", "well"];
      const made = await Promise.all(names.map((name) => platform.createDemo({ name })));
      const broken = made.slice(0, 3);
      for (const answer of await Promise.all(broken.map(({ id, name }) => platform.api.outage(id, name))))
        expectStatus(answer, 200);
      const halted = await platform.api.call<{ recovered: string[]; failed: unknown[] }>("POST", "/halt");
      const { body } = expectStatus(halted, 200, { failed: [] });
      expect(new Set(body.recovered)).toEqual(new Set(broken.map(({ id }) => id)));
      for (const { id } of made) {
        expectStatus(await platform.api.show(id), 200, { status: "running", outage: null });
        expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200);
      }
      expect((await platform.api.call("POST", "/halt")).body).toEqual({ recovered: [], failed: [] });
    });
  },
  ["process"],
);
