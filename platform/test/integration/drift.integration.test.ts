import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import type { EnvironmentView } from "../../domain/environment/view.ts";
import { formatAddress } from "../../domain/network/subnets.ts";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { docker, pauseContainer, subnetOf } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { POOLS_AS_SHIPPED } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";
import { REPAIRED_MS, watchDrift } from "../support/watch-drift.ts";

const EVERY_SECOND = "* * * * * *";

describePlatform(
  "drift",
  { RECONCILE_SCHEDULE: EVERY_SECOND, HEALTH_SCHEDULE: EVERY_SECOND, ...POOLS_AS_SHIPPED },
  (platform) => {
    const { nginx, inFolder, events, reported, answers } = watchDrift(platform);
    const disconnect = (network: string, container: string) =>
      docker("network", "disconnect", "-f", network, container);

    /** Creates a container or a network under a foreign name, which is removed with the test. */
    async function addForeign(kind: "container" | "network", name: string, ...args: string[]): Promise<void> {
      onTestFinished(async () => void (await docker(kind, "rm", "-f", name).catch(() => docker(kind, "rm", name))));
      await docker(kind, "create", ...args);
    }

    /** Removes a network. The reconciler may put a container back meanwhile: then again. */
    const removeNetwork = (network: string, ...containers: string[]) =>
      waitUntil("the network to be gone", async () => {
        for (const container of containers) await disconnect(network, container).catch(() => {});
        await docker("network", "rm", network);
        return true;
      });

    /** Moves a container to an address at the end of a network. The reconciler may move it back meanwhile: then again. */
    const move = (network: string, container: string) =>
      waitUntil("the other address", async () => {
        const address = formatAddress((await subnetOf(network)).base + 12);
        await disconnect(network, container).catch(() => {});
        await docker("network", "connect", "--ip", address, network, container);
        return true;
      });

    /** The title's end, the step that repairs it, and the drift. */
    type Drift = [title: string, step: string, drift: (environment: EnvironmentView) => unknown];
    const ownDrifts: Drift[] = [
      ["a removed container is replaced", "place-service", ({ container }) => docker("rm", "-f", container)],
      [
        "a removed network is made again, with its container and Nginx on it",
        "prepare-environment",
        async ({ container, network }) => {
          await removeNetwork(network, container, nginx());
          await docker("rm", "-f", container);
        },
      ],
      [
        "a network that was removed under a running container is made again",
        "prepare-environment",
        ({ container, network }) => removeNetwork(network, container, nginx()),
      ],
      [
        "a removed route is made again",
        "upsert-route",
        ({ id }) => {
          rmSync(inFolder("conf.d", `${id}.conf`));
          return docker("exec", nginx(), "nginx", "-s", "reload");
        },
      ],
      [
        "a route with other content is made again",
        "upsert-route",
        ({ id }) => {
          writeFileSync(inFolder("conf.d", `${id}.conf`), "server { listen 80; server_name x.localhost; }\n");
          return docker("exec", nginx(), "nginx", "-s", "reload");
        },
      ],
      [
        "Nginx is put back on the network of an environment",
        "prepare-environment",
        ({ network }) => disconnect(network, nginx()),
      ],
      [
        "Nginx at another address of an environment's network is moved to its own",
        "prepare-environment",
        ({ network }) => move(network, nginx()),
      ],
      [
        "a container at another address of its network is moved to its own",
        "reconnect-service",
        ({ container, network }) => move(network, container),
      ],
      [
        "a renamed container is replaced",
        "place-service",
        ({ container }) => docker("rename", container, `${container}-renamed`),
      ],
      ["a container that a hand paused is unpaused", "unpause-service", ({ container }) => pauseContainer(container)],
    ];
    test.each(ownDrifts)("drift is repaired: %s", async (_, step, drift) => {
      const environment = await platform.createDemo();
      await drift(environment);
      await reported("environment.repaired", `${step} ${environment.id}`);
      await answers(environment.id);
      const { id, container } = environment;
      const containers = await docker("ps", "-a", "--filter", `label=sandbox.env=${id}`, "--format", "{{.Names}}");
      expect(containers).toBe(container);
    });

    test.each([
      ["removed", (file: string) => rmSync(file)],
      ["damaged", (file: string) => writeFileSync(file, '{"version":')],
    ])("a state file that was %s is written again", async (_, drift) => {
      const { id } = await platform.createDemo();
      const file = inFolder("envs", `${id}.json`);
      const before = readFileSync(file, "utf8");
      drift(file);
      await reported("environment.repaired", `save-record ${id}`);
      expect(readFileSync(file, "utf8")).toBe(before);
    });

    test("a removed log folder comes back with every line that Docker still has, as soon as another line is printed", async () => {
      const { id } = await platform.createDemo();
      const logged = (text: string) =>
        waitUntil(text, async () => (await platform.api.logs(id, `?grep=${text}`)).body.lines.length === 1);
      await visit(platform.instance, hostOf(id), "/before-");
      await logged("/before-");
      rmSync(inFolder("logs", id), { recursive: true });
      await visit(platform.instance, hostOf(id), "/after-");
      await logged("/before-");
      await logged("/after-");
    });

    const moveNginx = () => move(platform.instance.name, nginx());
    test.each([
      ["was killed", () => docker("kill", nginx())],
      ["was stopped", () => docker("stop", "-t", "1", nginx())],
      ["was paused", () => pauseContainer(nginx())],
      ["was taken off the platform's network", () => disconnect(platform.instance.name, nginx())],
      ["was moved to another address of the platform's network", moveNginx],
    ])("Nginx is repaired after it %s", async (_, drift) => {
      const { id } = await platform.createDemo();
      const before = events("platform.repaired").length;
      await drift();
      await waitUntil("the repair", () => events("platform.repaired").length > before, REPAIRED_MS);
      await answers(id);
    });

    test("Nginx serves as before after a restart by hand", async () => {
      const { id } = await platform.createDemo();
      await docker("restart", "-t", "1", nginx());
      await answers(id);
    });

    test("Nginx is repaired after one of its networks was removed while it did not run", async () => {
      const { id } = await platform.createDemo();
      const isFull = async () =>
        JSON.stringify((await platform.api.call("GET", "/healthz")).body).includes("2 of 2 environments");
      await waitUntil("the warm pool", isFull, 30_000);
      const prefix = `${platform.instance.name}-env-`;
      const apps = await docker("ps", "--filter", `name=${prefix}`, "--format", "{{.Names}}");
      const warm = apps.split("\n").find((name) => !name.includes(id)) ?? "";
      const [network = ""] = Object.keys(
        JSON.parse(await docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", warm)) as object,
      );
      await platform.instance.stopApi();
      await docker("stop", "-t", "1", nginx());
      // Docker removes a network whose containers do not run, and then starts none of them.
      await docker("rm", "-f", warm);
      await docker("network", "rm", network);
      await expect(docker("start", nginx())).rejects.toThrow("not found");
      await platform.instance.startApi();
      await answers(id);
    });

    test("a removed container of Nginx is reported, and is on every network again once compose has made it", async () => {
      const { id } = await platform.createDemo();
      await docker("rm", "-f", nginx());
      await reported("drift.unrepaired", "run `make up`");
      await platform.instance.compose("up", "-d", "nginx");
      await answers(id);
      expectStatus(await platform.api.create({ name: "after" }), 201);
    });

    test("containers and networks without our label, or with another platform's, are left alone", async () => {
      const { instance } = platform;
      const [plain, other, orphan] = ["plain", "other", "orphan"].map((part) => `${instance.name}-${part}`) as [
        string,
        string,
        string,
      ];
      const { image } = await platform.createDemo();
      const labels = (owner: string) => ["--label", `sandbox.platform=${owner}`, "--label", "sandbox.env=env-none-1"];
      await addForeign("container", plain, "--name", plain, image);
      await addForeign("network", plain, "--subnet", "10.193.7.0/28", plain);
      await addForeign("container", other, "--name", other, ...labels("another-owner"), image);
      await docker("create", "--name", orphan, ...labels(instance.name), image);
      await reported("orphan.removed", orphan);
      expect(await docker("inspect", "-f", "{{.State.Status}}", plain, other)).toBe("created\ncreated");
      expect(await docker("network", "inspect", "-f", "{{.Name}}", plain)).toBe(plain);
    });

    test("a foreign container under our container's name is left alone and reported, and the environment can be destroyed", async () => {
      const { id, container, image } = await platform.createDemo();
      await docker("rename", container, `${container}-taken`);
      await addForeign("container", container, "--name", container, image);
      // The platform may be removing it as an orphan already.
      await docker("rm", "-f", `${container}-taken`).catch(() => {});
      await reported("drift.unrepaired", id);
      expectStatus(await platform.api.outage(id, "crash"), 403);
      expectStatus(await platform.api.destroy(id), 200);
      expect(await docker("inspect", "-f", "{{.State.Status}}", container)).toBe("created");
    });
  },
  ["process"],
);
