import { chmod, chown, mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { beside, containerGroup, engineGroup } from "../support/processor-groups.ts";
import { rulesStand } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const MIB = 2 ** 20;

/** The limits of a container by the engine, and those of its first process by the kernel. */
async function limitsOf(container: string): Promise<{ config: Record<string, unknown>; held: string[] }> {
  const config = JSON.parse(await docker("inspect", "-f", "{{json .HostConfig}}", container)) as Record<
    string,
    unknown
  >;
  const status = await docker("exec", container, "cat", "/proc/1/status");
  const held = ["CapBnd", "NoNewPrivs", "Seccomp"].map(
    (name) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1],
  );
  return { config, held: held.map(String) };
}

/** Some engines put CAP_ before the names. */
function namesOf(capabilities: unknown): string[] {
  return ((capabilities ?? []) as string[]).map((name) => name.replace(/^CAP_/, "")).toSorted();
}

/** Part, capabilities, the same in the kernel's bits, MB of memory, processes. */
type Limits = [part: string, added: string[], bits: string, memory: number, pids: number];

const SOCKET_PROXY: Limits = ["socket-proxy", [], "0000000000000000", 256, 64];

async function expectLimits(instance: string, [part, added, bits, memory, pids]: Limits): Promise<void> {
  const { config, held } = await limitsOf(`${instance}-${part}`);
  expect(config).toMatchObject({
    Memory: memory * MIB,
    PidsLimit: pids,
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges:true"],
    Privileged: false,
    PidMode: "",
  });
  expect(namesOf(config["CapAdd"])).toEqual(added);
  expect(held).toEqual([bits, "1", "2"]);
}

describePlatform(
  "the platform's own containers",
  {},
  (platform, mode) => {
    test.each<Limits>([
      ["nginx", ["CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID"], "00000000000004c3", 2048, 4096],
      ["api", ["DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE"], "000000000000040a", 1024, 512],
      ["firewall", ["DAC_OVERRIDE", "NET_ADMIN", "NET_RAW"], "0000000000003002", 64, 64],
      ...(mode === "filtered container" ? [SOCKET_PROXY] : []),
    ])("the %s container has limits, and no more privileges than it needs", async (...limits) => {
      await expectLimits(platform.instance.name, limits);
    });

    test("Nginx has as much of the processors as the engine or all environments, and the API more", async () => {
      const { name } = platform.instance;
      const environment = await containerGroup((await platform.createDemo()).container);
      const engine = await engineGroup();
      const [nginx, api] = [await containerGroup(`${name}-nginx`), await containerGroup(`${name}-api`)];
      for (const other of [engine, environment]) {
        expect(await beside(nginx, other)).toEqual({ weight: 1, itself: true });
        expect(await beside(api, other)).toEqual({
          weight: expect.toSatisfy((weight: number) => weight > 64),
          itself: true,
        });
      }
      expect(await beside(environment, nginx)).toMatchObject({ weight: 1 });
    });

    test("the platform works with folders and files that are another user's", async () => {
      const { folder, name } = platform.instance;
      const heartbeat = join(ROOT, ".cache/firewall", name);
      await chown(heartbeat, 12_345, 12_345);
      await chmod(heartbeat, 0o700);
      await rm(join(heartbeat, "state"));
      await docker("restart", `${name}-firewall`);
      await waitUntil("the firewall's heartbeat", () => rulesStand(name));
      await mkdir(join(folder, "envs/secrets"), { recursive: true });
      await platform.createDemo();
      // Nginx's workers, whose user is `nobody`, look into conf.d too; its master reads the files.
      const version = "conf.d/00-config-version.conf";
      const modes = { "envs/secrets": 0o755, envs: 0o700, logs: 0o700, "conf.d": 0o755, [version]: 0o600 };
      for (const [part, mode] of Object.entries(modes)) {
        await chown(join(folder, part), 12_345, 12_345);
        await chmod(join(folder, part), mode);
      }
      await docker("exec", `${name}-nginx`, "nginx", "-t");
      const { id } = await platform.createDemo({ secrets: { TOKEN: "not to be told" } });
      expectStatus(await visit(platform.instance, hostOf(id)), 200);
      expectStatus(await platform.api.destroy(id), 200);
    });

    test("an environment without settings gets the default limits", async () => {
      const { body } = expectStatus(await platform.api.create({}), 201, { status: "running" });
      const { config, held } = await limitsOf(body.container);
      expect(config).toMatchObject({
        Memory: 256 * MIB,
        MemorySwap: 256 * MIB,
        NanoCpus: 1_000_000_000,
        PidsLimit: 256,
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges:true"],
        LogConfig: { Type: "json-file", Config: { "max-size": "50m", "max-file": "2" } },
        RestartPolicy: { Name: "no" },
        NetworkMode: body.network,
        Privileged: false,
        Init: true,
        PidMode: "",
        IpcMode: "private",
        Binds: null,
        PublishAllPorts: false,
      });
      expect(namesOf(config["CapAdd"])).toEqual([
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "KILL",
        "NET_BIND_SERVICE",
        "SETGID",
        "SETUID",
      ]);
      expect(held).toEqual(["00000000000004eb", "1", "2"]);
      const mounts = await docker("inspect", "-f", "{{json .Mounts}} {{json .NetworkSettings.Ports}}", body.container);
      expect(mounts).toMatch(/^\[\] \{("\d+\/tcp":null,?)*\}$/);
    });
  },
  ["container", "filtered container"],
);
