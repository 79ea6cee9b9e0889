import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { movableClock } from "../support/movable-clock.ts";
import { waitUntil } from "../support/wait-until.ts";

const OFTEN = "*/2 * * * * *";
const HOUR = 3_600_000;
const TTL = 80_000;

describePlatform(
  "a clock that is set",
  { CLEANUP_SCHEDULE: OFTEN, HEALTH_SCHEDULE: OFTEN, RECONCILE_SCHEDULE: OFTEN },
  (platform) => {
    test.each([
      ["back by an hour", -HOUR],
      ["forward by an hour, as when a laptop wakes", HOUR],
    ])("a clock that is set %s stops no loop", async (_, step) => {
      const { api, instance } = platform;
      const clock = movableClock(instance.folder);
      await instance.restartApi("SIGTERM", clock.settings);
      const [steady, paused] = [
        await platform.createDemo({ name: "steady", ttl: TTL }),
        await platform.createDemo({ name: "paused", ttl: TTL }),
      ];
      expectStatus(await api.outage(paused.id, "pause", { duration: 15 }), 200);
      clock.set(step);

      const checks = () =>
        readFileSync(join(instance.folder, "logs", steady.id, "health.log"), "utf8").split("\n").length;
      const isSet = async () => Math.abs((await api.show(steady.id)).body.ttl_remaining - TTL) > HOUR / 2_000;
      await waitUntil("the clock to be set", isSet);
      const before = checks();
      await waitUntil("more checks", () => checks() >= before + 3, 30_000);
      const { id: brief } = await platform.createDemo({ name: "brief", ttl: 10 });
      await docker("rm", "-f", steady.container);
      await waitUntil("the outage to end", async () => (await api.show(paused.id)).body.outage === null, 30_000);
      await waitUntil(
        "the replacement of the lost container",
        async () => expectStatus(await visit(instance, hostOf(steady.id), "/health"), 200),
        30_000,
      );
      await waitUntil(
        "the expiry of the newer environment",
        async () => expectStatus(await api.show(brief), 404),
        30_000,
      );
      const { body } = await api.call<{ parts: Record<string, { ok: boolean }> }>("GET", "/healthz");
      const unwell = Object.keys(body.parts).filter((name) => body.parts[name]?.ok !== true);
      // The firewall's container has the machine's own clock, which was not set.
      expect(unwell).toEqual(["firewall"]);
    });
  },
  ["process"],
);
