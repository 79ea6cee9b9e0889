import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DEFAULT_GENERATION_PORTS, parseGeneration } from "../../routing/nginx/config-version.ts";
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
    const generation = () => readFileSync(inFolder("conf.d/00-generation.conf"), "utf8");
    const spoilGeneration = () => writeFileSync(inFolder("conf.d/00-generation.conf"), "this is no configuration {");

    test("the generation's file, spoilt, is written anew, and keeps nobody from being routed", async () => {
      await platform.createDemo();
      spoilGeneration();
      expect((await platform.api.create()).status).toBe(201);
      spoilGeneration();
      await waitUntil("a whole file", () => generation().startsWith("# Generated"), REPAIRED_MS);
    });

    test("the generation's file, spoilt, does not keep Nginx from starting", async () => {
      const { id } = await platform.createDemo();
      await docker("stop", "-t", "1", nginx());
      spoilGeneration();
      await docker("restart", "-t", "1", nginx());
      await answers(id);
      expect(generation()).toMatch(/^# Generated/);
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
      rmSync(inFolder("conf.d/live"), { recursive: true });
      writeFileSync(inFolder("conf.d/live"), "this is no folder");
      await told("environment.repaired", `enable-route ${id}`);
      await answers(id);
      expect((await platform.api.create()).status).toBe(201);
    });

    test("Nginx, started with somebody's file that takes every address, has its own again once that is gone", async () => {
      const { id } = await platform.createDemo();
      const theirs = inFolder("conf.d", "theirs.conf");
      const before = generation();
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
        DEFAULT_GENERATION_PORTS,
      );
      const isLoaded = async () => {
        const answer = await running.ask();
        return answer.answers && answer.generation === parseGeneration(generation());
      };
      await waitUntil(
        "the platform to have it loaded",
        async () => generation() !== before && (await isLoaded()),
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
