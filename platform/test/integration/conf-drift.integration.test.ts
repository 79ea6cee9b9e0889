import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { describePlatform } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { waitUntil } from "../support/wait-until.ts";
import { REPAIRED_MS, watchDrift } from "../support/watch-drift.ts";

const BROKEN = "this is no configuration {";

describePlatform(
  "drift of conf.d",
  { RECONCILE_SCHEDULE: "* * * * * *" },
  (platform) => {
    const { nginx, inFolder, events, reported, answers } = watchDrift(platform);
    const versionFile = () => inFolder("conf.d/00-config-version.conf");
    const isRepaired = () => readFileSync(versionFile(), "utf8").startsWith("# Generated");
    const createsWork = async () => expectStatus(await platform.api.create({ name: "after" }), 201);
    const foreignFile = (text: string) => writeFileSync(inFolder("conf.d/foreign.conf"), text);
    const isQuarantined = () =>
      !existsSync(inFolder("conf.d/foreign.conf")) &&
      readdirSync(inFolder("conf.d/rejected")).some((name) => name.startsWith("foreign.conf"));

    test("a broken file of the config version is written again, and no create fails because of it", async () => {
      await platform.createDemo();
      writeFileSync(versionFile(), BROKEN);
      await createsWork();
      writeFileSync(versionFile(), BROKEN);
      await waitUntil("the repair", isRepaired, REPAIRED_MS);
    });

    test("a broken file of the config version does not keep Nginx from starting", async () => {
      const { id } = await platform.createDemo();
      await docker("kill", nginx());
      writeFileSync(versionFile(), BROKEN);
      await docker("restart", "-t", "1", nginx());
      await answers(id);
      expect(isRepaired()).toBe(true);
      await createsWork();
    });

    test("a route that was broken while the platform was down does not keep Nginx from starting", async () => {
      const [broken, other] = [await platform.createDemo(), await platform.createDemo()];
      await platform.instance.stopApi();
      writeFileSync(inFolder("conf.d", `${broken.id}.conf`), BROKEN);
      await docker("restart", "-t", "1", nginx());
      await platform.instance.startApi();
      await Promise.all([answers(broken.id), answers(other.id)]);
    });

    test("a file in the place of the folder of enabled flags is quarantined, and routes are enabled again", async () => {
      const { id } = await platform.createDemo();
      rmSync(inFolder("conf.d/enabled"), { recursive: true });
      writeFileSync(inFolder("conf.d/enabled"), "this is no folder");
      await reported("environment.repaired", `enable-route ${id}`);
      await answers(id);
      await createsWork();
    });

    test.each([
      ["broken", BROKEN],
      ["harmless", "# comment\n"],
    ])("a %s foreign file under a running Nginx is quarantined", async (_, text) => {
      const before = events("ingress.rejected").length;
      foreignFile(text);
      await waitUntil("the event", () => events("ingress.rejected").length > before, REPAIRED_MS);
      expect(isQuarantined()).toBe(true);
      await createsWork();
    });

    test("a foreign file that keeps Nginx from starting is quarantined", async () => {
      const { id } = await platform.createDemo();
      const before = events("ingress.rejected").length;
      foreignFile(BROKEN);
      await docker("restart", "-t", "1", nginx());
      await waitUntil("the event", () => events("ingress.rejected").length > before, REPAIRED_MS);
      await answers(id);
      expect(isQuarantined()).toBe(true);
    });

    test("Nginx is restarted without a foreign file that has it listen on every address", async () => {
      const { id } = await platform.createDemo();
      await docker("kill", nginx());
      foreignFile("server { listen 80; server_name foreign.localhost; }\n");
      await docker("start", nginx());
      const isOnEveryAddress = async () =>
        (await docker("exec", nginx(), "cat", "/proc/net/tcp")).includes(" 00000000:0050 00000000:0000 0A ");
      await waitUntil("its own address alone", async () => !(await isOnEveryAddress()), REPAIRED_MS);
      await answers(id);
      expect(isQuarantined()).toBe(true);
      await createsWork();
    });

    test.each([
      ["removed", () => rmSync(inFolder("conf.d"), { recursive: true })],
      [
        "replaced",
        () => {
          rmSync(inFolder("conf.d"), { recursive: true });
          mkdirSync(inFolder("conf.d"));
        },
      ],
    ])("Nginx is restarted, and every route is back, after conf.d was %s", async (_, drift) => {
      const [first, second] = [await platform.createDemo(), await platform.createDemo()];
      const before = events("platform.repaired").length;
      drift();
      await waitUntil("the repair", () => events("platform.repaired").length > before, REPAIRED_MS);
      expect(events("platform.repaired").at(-1)).toContain(`restart-container ${nginx()}`);
      await Promise.all([answers(first.id), answers(second.id)]);
      await createsWork();
      expectStatus(await platform.api.call("GET", "/healthz"), 200);
    });
  },
  ["process"],
);
