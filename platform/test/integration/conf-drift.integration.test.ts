import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { describePlatform } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { waitUntil } from "../support/wait-until.ts";
import { REPAIRED_MS, watchDrift } from "../support/watch-drift.ts";

const NONSENSE = "this is no configuration {";

describePlatform(
  "drift of conf.d",
  { RECONCILE_SCHEDULE: "*/2 * * * * *" },
  (platform) => {
    const { nginx, inFolder, told, answers } = watchDrift(platform);
    const versionFile = () => inFolder("conf.d/00-config-version.conf");
    const isRepaired = () => readFileSync(versionFile(), "utf8").startsWith("# Generated");

    test("the config version's file, spoilt, is written anew, and no create fails because of it", async () => {
      await platform.createDemo();
      writeFileSync(versionFile(), NONSENSE);
      expect((await platform.api.create()).status).toBe(201);
      writeFileSync(versionFile(), NONSENSE);
      await waitUntil("the repair", isRepaired, REPAIRED_MS);
    });

    test("the config version's file, spoilt, does not keep Nginx from starting", async () => {
      const { id } = await platform.createDemo();
      await docker("stop", "-t", "1", nginx());
      writeFileSync(versionFile(), NONSENSE);
      await docker("restart", "-t", "1", nginx());
      await answers(id);
      expect(isRepaired()).toBe(true);
      expect((await platform.api.create()).status).toBe(201);
    });

    test("a route that was spoilt while the platform was down does not keep Nginx from starting", async () => {
      const [spoilt, innocent] = [await platform.createDemo(), await platform.createDemo()];
      await platform.instance.stopApi();
      writeFileSync(inFolder("conf.d", `${spoilt.id}.conf`), NONSENSE);
      await docker("restart", "-t", "1", nginx());
      await platform.instance.startApi();
      await Promise.all([answers(spoilt.id), answers(innocent.id)]);
    });

    test("a file in the place of the enabled flags' folder is quarantined, and routes are enabled again", async () => {
      const { id } = await platform.createDemo();
      rmSync(inFolder("conf.d/enabled"), { recursive: true });
      writeFileSync(inFolder("conf.d/enabled"), "this is no folder");
      await told("environment.repaired", `enable-route ${id}`);
      await answers(id);
      expect((await platform.api.create()).status).toBe(201);
    });

    test("Nginx, started with a foreign file that takes every address, is restarted without it", async () => {
      const { id } = await platform.createDemo();
      await docker("kill", nginx());
      writeFileSync(inFolder("conf.d/theirs.conf"), "server { listen 80; server_name theirs.localhost; }\n");
      await docker("start", nginx());
      await told("ingress.rejected", "theirs.conf");
      const isEverywhere = async () =>
        (await docker("exec", nginx(), "cat", "/proc/net/tcp")).includes(" 00000000:0050 00000000:0000 0A ");
      await waitUntil("its own address alone", async () => !(await isEverywhere()), REPAIRED_MS);
      await answers(id);
      expect(existsSync(inFolder("conf.d/theirs.conf"))).toBe(false);
      expect((await platform.api.create()).status).toBe(201);
    });
  },
  ["process"],
);
