import { expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";

const HANGING = 20;
/** It takes connections and never answers. */
const NEVER_ANSWERS = "require('net').createServer(() => {}).listen(3000)";
const CREATE_TIMEOUT = 5;
/** What is served beside them, on a machine that is busy creating. */
const SERVED_MS = 2_000;

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

describePlatform(
  "applications that accept and never answer",
  {
    CREATE_TIMEOUT: String(CREATE_TIMEOUT),
    HEALTH_SCHEDULE: "* * * * * *",
    MAX_ENVS: "0",
    MAX_MEMORY_MB: "0",
  },
  (platform) => {
    test("hold up neither requests to others, nor their creation, nor their checks", async () => {
      const { api, instance } = platform;
      const well = await platform.createDemo({ name: "well" });
      const hanging = await Promise.all(
        Array.from({ length: HANGING }, (_, n) =>
          api.create({ name: `hangs-${n}`, command: ["node", "-e", NEVER_ANSWERS] }),
        ),
      );
      for (const { status, body } of hanging) expect([status, body.status]).toEqual([201, "degraded"]);

      // Every one of them is probed each second now, and each probe hangs.
      let created: { id: string; status: string } | null = null;
      const creating = msOf(async () => (created = await platform.createDemo({ name: "meanwhile" })));
      const served = await Promise.all(
        Array.from({ length: 10 }, () =>
          msOf(async () => expect((await visit(instance, hostOf(well.id), "/health")).status).toBe(200)),
        ),
      );
      expect(Math.max(...served)).toBeLessThan(SERVED_MS);
      expect(await creating).toBeLessThan(CREATE_TIMEOUT * 1000);
      expect(created).toMatchObject({ status: "running" });
      expect(await msOf(() => api.list())).toBeLessThan(SERVED_MS);
      expect((await api.show(well.id)).body.status).toBe("running");
    }, 180_000);
  },
  ["process"],
);
