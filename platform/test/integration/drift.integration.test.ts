import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { docker, pauseContainer } from "../support/docker.ts";
import { POOLS_AS_SHIPPED } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";
import { REPAIRED_MS, watchDrift } from "../support/watch-drift.ts";

describePlatform(
  "drift under a running platform",
  { RECONCILE_SCHEDULE: "*/2 * * * * *", HEALTH_SCHEDULE: "*/2 * * * * *", ...POOLS_AS_SHIPPED },
  (platform) => {
    const strangers: string[] = [];
    afterEach(async () => {
      for (const name of strangers.splice(0)) {
        await docker("rm", "-f", name).catch(() => {});
        await docker("network", "rm", name).catch(() => {});
      }
    });

    const { nginx, inFolder, events, told, answers } = watchDrift(platform);

    describe("of what belongs to an environment", () => {
      test("a removed container is made anew", async () => {
        const { id, container } = await platform.createDemo();
        await docker("rm", "-f", container);
        await told("environment.repaired", `create-container ${container}`);
        await answers(id);
      });

      test("a removed network is made anew, with its container and Nginx on it", async () => {
        const { id, container, network } = await platform.createDemo();
        // The reconciler may put one back while the next is being taken: then again from the start.
        await waitUntil("the network to be gone", async () => {
          await docker("rm", "-f", container).catch(() => {});
          await docker("network", "disconnect", "-f", network, nginx()).catch(() => {});
          await docker("network", "rm", network);
          return true;
        });
        await told("environment.repaired", `create-network ${network}`);
        await answers(id);
      });

      test("a network that was pulled away from a running container is made anew", async () => {
        const { id, container, network } = await platform.createDemo();
        await waitUntil("the network to be gone", async () => {
          for (const name of [container, nginx()]) {
            await docker("network", "disconnect", "-f", network, name).catch(() => {});
          }
          await docker("network", "rm", network);
          return true;
        });
        await told("environment.repaired", `create-network ${network}`);
        await answers(id);
      });

      test("a removed route is put again", async () => {
        const { id } = await platform.createDemo();
        rmSync(inFolder("conf.d", `${id}.conf`));
        await docker("exec", nginx(), "nginx", "-s", "reload");
        await told("environment.repaired", `upsert-route ${id}`);
        await answers(id);
      });

      test("a route that somebody filled with something else is put again", async () => {
        const { id } = await platform.createDemo();
        writeFileSync(inFolder("conf.d", `${id}.conf`), "server { listen 80; server_name elsewhere.localhost; }\n");
        await docker("exec", nginx(), "nginx", "-s", "reload");
        await told("environment.repaired", `upsert-route ${id}`);
        await answers(id);
      });

      test.each([
        ["removed", (file: string) => rmSync(file)],
        ["damaged", (file: string) => writeFileSync(file, '{"version":')],
      ])("a state file that was %s is written anew", async (_what, spoil) => {
        const { id } = await platform.createDemo();
        const file = inFolder("envs", `${id}.json`);
        const before = readFileSync(file, "utf8");
        spoil(file);
        await told("environment.repaired", `save-record ${id}`);
        expect(readFileSync(file, "utf8")).toBe(before);
      });

      test("a removed log folder comes back with all that Docker still has, once more is printed", async () => {
        const { id } = await platform.createDemo();
        await visit(platform.instance, hostOf(id), "/before-");
        const logged = (text: string) =>
          waitUntil(text, async () => (await platform.api.logs(id, `?grep=${text}`)).body.lines.length === 1);
        await logged("/before-");
        rmSync(inFolder("logs", id), { recursive: true });
        await visit(platform.instance, hostOf(id), "/after-");
        await logged("/before-");
        await logged("/after-");
      });

      test("Nginx, taken off its network, is put back", async () => {
        const { id, network } = await platform.createDemo();
        await docker("network", "disconnect", "-f", network, nginx());
        await told("environment.repaired", `connect-ingress ${network}`);
        await answers(id);
      });

      test.each([
        ["its container", (container: string) => container],
        ["Nginx", () => nginx()],
      ])("%s, put back on the network at another address, is moved to its own", async (_what, choose) => {
        const { id, container, network } = await platform.createDemo();
        const name = choose(container);
        const [{ Subnet: subnet }] = JSON.parse(
          await docker("network", "inspect", "-f", "{{json .IPAM.Config}}", network),
        ) as [{ Subnet: string }];
        const elsewhere = subnet.replace(/\d+\/28$/, (end) => String(Number.parseInt(end, 10) + 12));
        // The reconciler may put it back in between: then again.
        await waitUntil("it to be elsewhere", async () => {
          await docker("network", "disconnect", "-f", network, name).catch(() => {});
          await docker("network", "connect", "--ip", elsewhere, network, name);
          return true;
        });
        await told(
          "environment.repaired",
          name === nginx() ? `connect-ingress ${network}` : `connect-container ${name}`,
        );
        await answers(id);
      });

      test("a container that was renamed makes room for its successor", async () => {
        const { id, container } = await platform.createDemo();
        await docker("rename", container, `${container}-renamed`);
        await told("orphan.removed", `${container}-renamed`);
        await told("environment.repaired", `create-container ${container}`);
        await answers(id);
      });

      test("a paused container nobody asked to pause is thawed", async () => {
        const { id, container } = await platform.createDemo();
        await pauseContainer(container);
        await told("environment.repaired", `unpause-container ${container}`);
        await answers(id);
      });
    });

    describe("of the front door", () => {
      async function moveNginx(): Promise<void> {
        const { name, variables } = platform.instance;
        await docker("network", "disconnect", "-f", name, nginx());
        const elsewhere = variables["NGINX_ADDRESS"]?.replace(/\d+$/, "77") ?? "";
        // The reconciler may have put it back at once.
        await docker("network", "connect", "--ip", elsewhere, name, nginx()).catch(() => {});
      }

      test.each([
        ["killed", () => docker("kill", nginx())],
        ["stopped", () => docker("stop", "-t", "1", nginx())],
        ["paused", () => pauseContainer(nginx())],
        [
          "taken off the platform's network",
          () => docker("network", "disconnect", "-f", platform.instance.name, nginx()),
        ],
        ["put at another address of it", () => moveNginx()],
      ])("Nginx, %s, is well again", async (_what, spoil) => {
        const { id } = await platform.createDemo();
        const before = events("platform.repaired").length;
        await spoil();
        await waitUntil("the repair", () => events("platform.repaired").length > before, REPAIRED_MS);
        await answers(id);
      });

      test("Nginx, restarted, serves as before", async () => {
        const { id } = await platform.createDemo();
        await docker("restart", "-t", "1", nginx());
        await answers(id);
      });

      test("Nginx is well again where a network that it was on went while it did not run", async () => {
        const { id } = await platform.createDemo();
        await waitUntil("what is made ahead", async () =>
          JSON.stringify((await platform.api.call("GET", "/healthz")).body).includes("2 of 2 environments"),
        );
        // An environment's that was made ahead: nobody will have its name again.
        const ours = await docker(
          "network",
          "ls",
          "--filter",
          `name=${platform.instance.name}-env-`,
          "--format={{.Name}}",
        );
        const network = ours.split("\n").find((name) => !name.endsWith(id)) ?? "";
        await platform.instance.stopApi();
        await docker("stop", "-t", "1", nginx());
        // The engine lets go of a network whose containers do not run, and then starts none that was on it.
        await docker("rm", "-f", `${network}-app`);
        await docker("network", "rm", network);
        await expect(docker("start", nginx())).rejects.toThrow("not found");
        await platform.instance.startApi();
        await answers(id);
      });

      test("Nginx's container, removed, is reported, and back on every network once compose has made it anew", async () => {
        const { id } = await platform.createDemo();
        await docker("rm", "-f", nginx());
        await told("drift.unrepaired", "run `make up`");
        await platform.instance.compose("up", "-d", "nginx");
        await answers(id);
        expect((await platform.api.create({ name: "after" })).status).toBe(201);
      });

      test("a foreign file that keeps Nginx from starting is quarantined", async () => {
        const { id } = await platform.createDemo();
        writeFileSync(inFolder("conf.d", "broken.conf"), "this is no configuration {");
        await docker("restart", "-t", "1", nginx());
        await told("ingress.rejected", "broken.conf");
        await answers(id);
        expect(readdirSync(inFolder("conf.d/rejected")).some((name) => name.startsWith("broken.conf"))).toBe(true);
      });

      test.each([
        ["removed", () => rmSync(inFolder("conf.d"), { recursive: true })],
        [
          "removed and made anew",
          () => {
            rmSync(inFolder("conf.d"), { recursive: true });
            mkdirSync(inFolder("conf.d"));
          },
        ],
      ])("conf.d, %s, is given to Nginx again, with every route", async (_what, spoil) => {
        const [first, second] = [await platform.createDemo(), await platform.createDemo()];
        const before = events("platform.repaired").length;
        spoil();
        await waitUntil("the repair", () => events("platform.repaired").length > before, REPAIRED_MS);
        expect(events("platform.repaired").at(-1)).toContain(`restart-container ${nginx()}`);
        await Promise.all([answers(first.id), answers(second.id)]);
        expect((await platform.api.create({ name: "after" })).status).toBe(201);
        expect((await platform.api.call("GET", "/healthz")).status).toBe(200);
      });

      test("foreign files under a running Nginx are quarantined, broken or not", async () => {
        for (const [name, text] of Object.entries({ nonsense: "this is no configuration {", harmless: "# theirs\n" })) {
          writeFileSync(inFolder("conf.d", `${name}.conf`), text);
          await told("ingress.rejected", `${name}.conf`);
          expect(existsSync(inFolder("conf.d", `${name}.conf`))).toBe(false);
        }
        expect((await platform.api.create()).status).toBe(201);
      });
    });

    describe("of what is not ours", () => {
      test("containers and networks without our label, or with another platform's, are left alone", async () => {
        const { instance } = platform;
        const [plain, other] = [`${instance.name}-stranger`, `${instance.name}-other`];
        strangers.push(plain, other);
        const { image } = await platform.createDemo();
        await docker("create", "--name", plain, image);
        await docker("network", "create", "--subnet", "10.193.7.0/28", plain);
        const labels = ["--label", "sandbox.platform=someone-elses", "--label", "sandbox.env=env-not-here-1"];
        await docker("create", "--name", other, ...labels, image);
        const orphan = `${instance.name}-orphan`;
        const mine = ["--label", `sandbox.platform=${instance.name}`, "--label", "sandbox.env=env-not-here-1"];
        await docker("create", "--name", orphan, ...mine, image);
        await told("orphan.removed", orphan);
        expect(await docker("inspect", "-f", "{{.State.Status}}", plain, other)).toBe("created\ncreated");
        expect(await docker("network", "inspect", "-f", "{{.Name}}", plain)).toBe(plain);
      });

      test("a stranger with our container's name is left alone, reported, and does not keep the environment from being destroyed", async () => {
        const { id, container, image } = await platform.createDemo();
        strangers.push(container);
        await docker("rename", container, `${container}-taken`);
        await docker("create", "--name", container, image);
        await docker("rm", "-f", `${container}-taken`);
        await told("drift.unrepaired", id);
        expect((await platform.api.outage(id, "crash")).status).toBe(403);
        expect((await platform.api.destroy(id)).status).toBe(200);
        expect(await docker("inspect", "-f", "{{.State.Status}}", container)).toBe("created");
      });
    });
  },
  ["process"],
);
