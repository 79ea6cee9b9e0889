import { execFile } from "node:child_process";
import { chmod, chown, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { apiClient, visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { beside, containerGroup, engineGroup } from "../support/processor-groups.ts";
import { createTestInstance, rulesStand } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");
const MIB = 2 ** 20;

/** What the engine was told of a container, and what the kernel holds of its first process. */
async function limitsOf(container: string): Promise<{ told: Record<string, unknown>; held: string[] }> {
  const told = JSON.parse(await docker("inspect", "-f", "{{json .HostConfig}}", container)) as Record<string, unknown>;
  const status = await docker("exec", container, "cat", "/proc/1/status");
  const held = ["CapBnd", "NoNewPrivs", "Seccomp"].map(
    (name) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1],
  );
  return { told, held: held.map(String) };
}

/** Some engines put CAP_ before the names that they were given. */
function namesOf(capabilities: unknown): string[] {
  return ((capabilities ?? []) as string[]).map((name) => name.replace(/^CAP_/, "")).toSorted();
}

/** Part, capabilities, the same as the kernel shows them, MB of memory, processes. */
type Limits = [part: string, added: string[], bits: string, memory: number, pids: number];

async function expectLimits(instance: string, [part, added, bits, memory, pids]: Limits): Promise<void> {
  const { told, held } = await limitsOf(`${instance}-${part}`);
  expect(told).toMatchObject({
    Memory: memory * MIB,
    PidsLimit: pids,
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges:true"],
    Privileged: false,
    PidMode: "",
  });
  expect(namesOf(told["CapAdd"])).toEqual(added);
  expect(held).toEqual([bits, "1", "2"]);
}

describePlatform(
  "the platform's own containers",
  {},
  (platform) => {
    test.each<Limits>([
      ["nginx", ["CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID"], "00000000000004c3", 2048, 4096],
      ["api", ["DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE"], "000000000000040a", 1024, 512],
      ["firewall", ["DAC_OVERRIDE", "NET_ADMIN", "NET_RAW"], "0000000000003002", 64, 64],
    ])("%s has limits, and no more privileges than it needs", async (...limits) => {
      await expectLimits(platform.instance.name, limits);
    });

    test("have as much of the processors as the engine or all environments, and the API more", async () => {
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

    test("work with folders and files that are another user's", async () => {
      const { folder, name } = platform.instance;
      const word = join(ROOT, ".cache/firewall", name);
      await chown(word, 12_345, 12_345);
      await chmod(word, 0o700);
      await rm(join(word, "state"));
      await docker("restart", `${name}-firewall`);
      await waitUntil("the firewall's word", () => rulesStand(name));
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

    test("give an environment that asks for nothing its defaults", async () => {
      const { body } = expectStatus(await platform.api.create({}), 201, { status: "running" });
      const { told, held } = await limitsOf(body.container);
      expect(told).toMatchObject({
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
      expect(namesOf(told["CapAdd"])).toEqual([
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

describePlatform(
  "the filtering proxy's container",
  {},
  (platform) => {
    test("has limits and no privileges at all", async () => {
      await expectLimits(platform.instance.name, ["socket-proxy", [], "0000000000000000", 256, 64]);
    });
  },
  ["filtered container"],
);

test("make up on a checkout that was made for one user's eyes: its environments answer", async () => {
  const instance = await createTestInstance();
  onTestFinished(() => instance.remove());
  // Its settings are what is wanted of it.
  await instance.remove();
  const conf = join(instance.folder, "conf.d");
  await mkdir(conf, { recursive: true });
  for (const closed of [instance.folder, conf]) await chmod(closed, 0o700);
  const env = { ...process.env, ...instance.variables, ENGINE_PID_FILE: join(instance.folder, "no-engine") };
  await run("sh", ["-c", `umask 077; exec "$0"`, join(ROOT, "scripts/up.sh")], { env });
  const { body } = expectStatus(await apiClient(instance).create({}), 201, { status: "running" });
  expectStatus(await visit(instance, hostOf(body.id)), 200);
  // As a platform leaves them that is killed while it reloads.
  await Promise.all(["enabled/env-left-1", ".reloading"].map((name) => writeFile(join(conf, name), "")));
  await run(join(ROOT, "scripts/down.sh"), { env });
  expect(await readdir(conf)).toEqual([]);
});
