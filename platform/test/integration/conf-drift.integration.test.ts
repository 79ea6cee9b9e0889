import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DEFAULT_VERSION_PORTS, parseVersion } from "../../routing/nginx/config-version.ts";
import { createRunningNginx } from "../../routing/nginx/running-nginx.ts";
import { describePlatform } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { waitUntil } from "../support/wait-until.ts";
import { REPAIRED_MS, watchDrift } from "../support/watch-drift.ts";

describePlatform(
  "drift of what Nginx reads",
  { RECONCILE_SCHEDULE: "*/2 * * * * *" },
  (platform) => {
    const { nginx, inFolder, told, answers } = watchDrift(platform);
    const version = () => readFileSync(inFolder("conf.d/00-config-version.conf"), "utf8");
    const spoilVersion = () => writeFileSync(inFolder("conf.d/00-config-version.conf"), "this is no configuration {");

    test("the version's file, spoilt, is written anew, and keeps nobody from being routed", async () => {
      await platform.createDemo();
      spoilVersion();
      expect((await platform.api.create()).status).toBe(201);
      spoilVersion();
      await waitUntil("a whole file", () => version().startsWith("# Generated"), REPAIRED_MS);
    });

    test("the version's file, spoilt, does not keep Nginx from starting", async () => {
      const { id } = await platform.createDemo();
      await docker("stop", "-t", "1", nginx());
      spoilVersion();
      await docker("restart", "-t", "1", nginx());
      await answers(id);
      expect(version()).toMatch(/^# Generated/);
      expect((await platform.api.create()).status).toBe(201);
    });

    test("a route that was spoilt while the platform was down does not keep Nginx from starting", async () => {
      const [spoilt, innocent] = [await platform.createDemo(), await platform.createDemo()];
      await platform.instance.stopApi();
      writeFileSync(inFolder("conf.d", `${spoilt.id}.conf`), "this is no configuration {");
      await docker("restart", "-t", "1", nginx());
      await platform.instance.startApi();
      // Met between two tries to start, the file is set aside; met while Nginx tries, it is written anew first.
      await Promise.all([answers(spoilt.id), answers(innocent.id)]);
    });

    test("a file in the place of the gates' folder is set aside, and routes are open again", async () => {
      const { id } = await platform.createDemo();
      rmSync(inFolder("conf.d/enabled"), { recursive: true });
      writeFileSync(inFolder("conf.d/enabled"), "this is no folder");
      await told("environment.repaired", `enable-route ${id}`);
      await answers(id);
      expect((await platform.api.create()).status).toBe(201);
    });

    test("Nginx, started with somebody's file that takes every address, has its own again once that is gone", async () => {
      const { id } = await platform.createDemo();
      const theirs = inFolder("conf.d", "theirs.conf");
      const before = version();
      // A running one would not have it: it is put there in between.
      await docker("kill", nginx());
      writeFileSync(theirs, "server { listen 80; server_name theirs.localhost; }\n");
      await docker("start", nginx());
      await answers(id);
      const isEverywhere = async () =>
        (await docker("exec", nginx(), "cat", "/proc/net/tcp")).includes(" 00000000:0050 00000000:0000 0A ");
      expect(await isEverywhere()).toBe(true);
      // Written is not loaded: removed in between, the file is in no configuration that Nginx gives up afterwards.
      const running = createRunningNginx(
        `http://${platform.instance.variables["NGINX_ADDRESS"]}:8081`,
        DEFAULT_VERSION_PORTS,
      );
      const isLoaded = async () => {
        const answer = await running.ask();
        return answer.answers && answer.version === parseVersion(version());
      };
      await waitUntil(
        "the platform to have it loaded",
        async () => version() !== before && (await isLoaded()),
        REPAIRED_MS,
      );
      rmSync(theirs, { force: true });
      await told("platform.repaired", "`listen`");
      await answers(id);
      expect(await isEverywhere()).toBe(false);
      expect((await platform.api.create()).status).toBe(201);
    });
  },
  ["process"],
);
