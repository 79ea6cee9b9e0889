import { test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";

const HANGING = 20;
/** An application that takes connections and never answers. */
const NEVER_ANSWERS = "require('net').createServer(() => {}).listen(3000)";

describePlatform(
  "applications that accept and never answer",
  {
    CREATE_TIMEOUT: "5",
    HEALTH_SCHEDULE: "* * * * * *",
    MAX_ENVS: "0",
    MAX_MEMORY_MB: "0",
  },
  (platform) => {
    test("applications that never answer delay no request, create or check of other environments", async () => {
      const { api, instance } = platform;
      const well = await platform.createDemo({ name: "well" });
      const hanging = await Promise.all(
        Array.from({ length: HANGING }, (_, n) =>
          api.create({ name: `hangs-${n}`, command: ["node", "-e", NEVER_ANSWERS] }),
        ),
      );
      for (const answer of hanging) expectStatus(answer, 201, { status: "degraded" });

      // Each of them is probed every second now, and each probe hangs.
      // An environment is running where it was well within CREATE_TIMEOUT.
      const creating = platform.createDemo({ name: "meanwhile" });
      const visits = Array.from({ length: 10 }, () => visit(instance, hostOf(well.id), "/health"));
      for (const answer of await Promise.all(visits)) expectStatus(answer, 200);
      await creating;
      expectStatus(await api.list(), 200);
      expectStatus(await api.show(well.id), 200, { status: "running" });
    }, 180_000);
  },
  ["process"],
);
