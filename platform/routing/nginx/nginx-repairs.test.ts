import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startStandInNginx, type StandInNginx } from "../../test/support/stand-in-nginx.ts";
import { VERSION_FILE } from "./config-version.ts";
import type { Route } from "../router.ts";
import type { NginxRouter } from "./nginx-router.ts";

let door: StandInNginx;
let confDir = "";
let live: StandInNginx["live"];
let log: StandInNginx["log"];
let ingress: NginxRouter;

beforeEach(async () => {
  door = await startStandInNginx();
  ({ confDir, live, log } = door);
  ingress = door.makeIngress();
});
afterEach(() => door.remove());

function makeRoute(name: string): Route {
  return { id: `env-${name}`, host: `env-${name}.localhost`, address: "10.172.0.3", port: 3000 };
}

async function failing(): Promise<never> {
  throw new Error("engine is gone");
}

describe("a configuration that Nginx does not take up", () => {
  const theirs = () => join(confDir, "theirs.conf");

  it("is given once more without the files that did not come from here, though they pass the test", async () => {
    const clashing = door.makeIngress({
      reload: async () => (existsSync(theirs()) ? undefined : door.control.reload()),
    });
    await clashing.upsert(makeRoute("a"));
    await writeFile(theirs(), "server { listen 8100; }\n");
    await clashing.upsert(makeRoute("b"));
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-a.conf", "env-b.conf"]);
    expect(door.told).toEqual([expect.stringMatching(/^theirs\.conf: Nginx does not take up/)]);
    expect(await readdir(join(confDir, "rejected"))).toHaveLength(1);
  });

  it("is given up with those files where they were, when it is not taken up without them either", async () => {
    await ingress.upsert(makeRoute("a"));
    await writeFile(theirs(), "# theirs\n");
    const deaf = door.makeIngress({ reload: async () => undefined, restart: async () => undefined });
    for (let times = 0; times < 2; times++) {
      await expect(deaf.upsert(makeRoute("b"))).rejects.toMatchObject({ code: "ingress_unavailable" });
      expect(existsSync(theirs())).toBe(true);
    }
    expect(door.told.filter((told) => told.startsWith("theirs.conf"))).toEqual([]);
  });

  it("is tested where it was not, and given once more without what is broken", async () => {
    let breaks = false;
    const tested = door.makeIngress({
      async test() {
        const isBroken = existsSync(theirs()) && (await readFile(theirs(), "utf8")) === "broken";
        return isBroken ? { ok: false, output: "[emerg] in /etc/nginx/conf.d/theirs.conf:1" } : door.control.test();
      },
      async reload() {
        if (!breaks) return door.control.reload();
        breaks = false;
        await writeFile(theirs(), "broken");
      },
    });
    await tested.upsert(makeRoute("a"));
    await writeFile(theirs(), "# theirs\n");
    await tested.upsert(makeRoute("b"));
    breaks = true;
    log.length = 0;
    await tested.remove("env-a");
    expect(log).toEqual(["test", "reload"]);
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-b.conf"]);
    expect(door.told).toEqual(["theirs.conf: [emerg] in /etc/nginx/conf.d/theirs.conf:1"]);
  });

  it("is given up where there is nothing else to blame, and nothing is set aside where Nginx cannot be door.told", async () => {
    await ingress.upsert(makeRoute("a"));
    await expect(door.makeIngress({ reload: async () => undefined }).upsert(makeRoute("b"))).rejects.toMatchObject({
      code: "ingress_unavailable",
      message: expect.stringContaining("within 200 ms"),
    });
    await writeFile(theirs(), "# theirs\n");
    for (const broken of [{ test: failing }, { reload: failing }]) {
      await expect(door.makeIngress(broken).upsert(makeRoute("b"))).rejects.toMatchObject({
        code: "ingress_unavailable",
      });
    }
    expect(door.told).toEqual([]);
    expect(existsSync(theirs())).toBe(true);
  });
});

describe("an Nginx that keeps an address of somebody's file", () => {
  let isBlocked = false;
  let stubborn: NginxRouter;
  const restarts = () => log.filter((call) => call === "restart").length;

  beforeEach(() => {
    isBlocked = false;
    stubborn = door.makeIngress({
      reload: async () => (isBlocked ? undefined : door.control.reload()),
      async restart() {
        isBlocked = false;
        await door.control.restart();
      },
    });
  });

  it("is restarted once that file is gone and a reload is of no use, and that is told", async () => {
    await stubborn.upsert(makeRoute("a"));
    await writeFile(join(confDir, "theirs.conf"), "server { listen 80; }\n");
    await stubborn.removeStrays(new Set(["env-a"]));
    isBlocked = true;
    await rm(join(confDir, "theirs.conf"));
    await stubborn.removeStrays(new Set(["env-a"]));
    expect(restarts()).toBe(1);
    expect(door.told).toEqual([expect.stringContaining("somebody's `listen`")]);
    await stubborn.upsert(makeRoute("b"));
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-a.conf", "env-b.conf"]);
    expect(restarts()).toBe(1);
  });

  it("is restarted as well where the file goes while it is being loaded", async () => {
    const theirs = join(confDir, "theirs.conf");
    const hasty = door.makeIngress({
      async reload() {
        if (isBlocked) return;
        await door.control.reload();
        isBlocked = live.has("theirs.conf");
        await rm(theirs, { force: true });
      },
      async restart() {
        isBlocked = false;
        await door.control.restart();
      },
    });
    await hasty.upsert(makeRoute("a"));
    await writeFile(theirs, "server { listen 80; }\n");
    await hasty.removeStrays(new Set(["env-a"]));
    expect(restarts()).toBe(0);
    await hasty.removeStrays(new Set(["env-a"]));
    expect(restarts()).toBe(1);
  });

  it("is restarted at once where the file goes while Nginx is not taking it up", async () => {
    const theirs = join(confDir, "theirs.conf");
    const hasty = door.makeIngress({
      reload: async () => (isBlocked ? rm(theirs, { force: true }) : door.control.reload()),
      async restart() {
        isBlocked = false;
        await door.control.restart();
      },
    });
    await hasty.upsert(makeRoute("a"));
    isBlocked = true;
    await writeFile(theirs, "server { listen 80; }\n");
    await hasty.removeStrays(new Set(["env-a"]));
    expect(restarts()).toBe(1);
  });

  it("is restarted once the file was set aside and a second reload is of no use either", async () => {
    await writeFile(join(confDir, "theirs.conf"), "server { listen 80; }\n");
    await stubborn.upsert(makeRoute("a"));
    isBlocked = true;
    await stubborn.upsert(makeRoute("b"));
    expect(restarts()).toBe(1);
    expect(live.has("env-b.conf")).toBe(true);
    expect(door.told).toEqual([expect.stringContaining("`listen`"), expect.stringMatching(/^theirs\.conf:/)]);
  });

  it("is given time once where there is no file to suspect, and restarted the second time in a row", async () => {
    await stubborn.upsert(makeRoute("a"));
    isBlocked = true;
    await expect(stubborn.upsert(makeRoute("b"))).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(restarts()).toBe(0);
    await stubborn.upsert(makeRoute("b"));
    expect(restarts()).toBe(1);
  });

  it("is restarted no second time where the first did not help", async () => {
    const hopeless = door.makeIngress({ reload: async () => undefined, restart: async () => void log.push("restart") });
    for (let times = 0; times < 4; times++)
      await expect(hopeless.upsert(makeRoute("b"))).rejects.toThrow("within 200 ms");
    expect(restarts()).toBe(1);
  });
});

describe("a folder that was removed or replaced, while Nginx keeps the former one", () => {
  let former = "";
  beforeEach(() => void (former = `${confDir}-former`));
  afterEach(() => rm(former, { recursive: true, force: true }));

  async function replace(): Promise<void> {
    await rename(confDir, former);
    door.mount(former);
    await mkdir(confDir);
  }

  it("is noticed with the next change, and Nginx restarted: once, and told", async () => {
    await ingress.upsert(makeRoute("a"));
    expect(await ingress.check()).toMatchObject({ ok: true });
    await replace();
    expect(await ingress.check()).toEqual({
      ok: false,
      detail: expect.stringMatching(/removed or replaced.*restarted$/),
    });
    log.length = 0;
    await ingress.upsert(makeRoute("b"));
    expect(log.filter((call) => call === "restart")).toHaveLength(1);
    expect(live.has("env-b.conf")).toBe(true);
    expect(door.told).toEqual([expect.stringContaining("removed or replaced")]);
    expect(await ingress.check()).toMatchObject({ ok: true });
    await ingress.upsert(makeRoute("c"));
    expect(log.filter((call) => call === "restart")).toHaveLength(1);
  });

  it("is made anew and noticed by whoever looks for strays, also when nothing changes", async () => {
    await ingress.upsert(makeRoute("a"));
    await replace();
    await rm(confDir, { recursive: true });
    expect(await ingress.list()).toEqual([]);
    await ingress.removeStrays(new Set());
    expect(log).toContain("restart");
    expect((await readdir(confDir)).filter((name) => name.startsWith(".seen-"))).toEqual([]);
  });

  it("is no reason for a second restart where the first did not help, until Nginx has it after all", async () => {
    const elsewhere = door.makeIngress({ restart: async () => void log.push("restart") });
    await elsewhere.upsert(makeRoute("a"));
    await replace();
    for (let times = 0; times < 2; times++) {
      await expect(elsewhere.upsert(makeRoute("b"))).rejects.toMatchObject({
        code: "ingress_unavailable",
        message: expect.stringContaining("NGINX_CONF_DIR"),
      });
    }
    expect(await elsewhere.check()).toEqual({ ok: false, detail: expect.stringContaining("NGINX_CONF_DIR") });
    expect(log.filter((call) => call === "restart")).toHaveLength(1);
    door.mount(confDir);
    await elsewhere.upsert(makeRoute("b"));
    await rm(former, { recursive: true });
    await replace();
    await expect(elsewhere.upsert(makeRoute("c"))).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(log.filter((call) => call === "restart")).toHaveLength(2);
  });

  it("is told with the reason where Nginx cannot be restarted", async () => {
    await ingress.upsert(makeRoute("a"));
    await replace();
    await expect(door.makeIngress({ restart: failing }).upsert(makeRoute("b"))).rejects.toMatchObject({
      code: "ingress_unavailable",
      message: expect.stringContaining("cannot be restarted: engine is gone"),
    });
    expect(door.told).toEqual([]);
  });
});

describe("a file of the platform's that somebody spoilt", () => {
  const textOf = (name: string) => readFile(join(confDir, name), "utf8");
  const spoil = (name: string) => writeFile(join(confDir, name), "garbage");
  /** An Nginx that names the first spoilt file, and takes nothing else amiss. */
  const strict = (): NginxRouter =>
    door.makeIngress({
      async test() {
        const names = (await readdir(confDir)).filter((name) => name.endsWith(".conf"));
        for (const name of names) {
          if ((await textOf(name)) !== "garbage") continue;
          return { ok: false, output: `[emerg] unknown directive "garbage" in /etc/nginx/conf.d/${name}:1` };
        }
        return door.control.test();
      },
    });

  it.each([
    ["the platform that wrote it", (former: NginxRouter) => former],
    ["one that was only just started", () => strict()],
  ])("with the version in it, is written anew before Nginx is asked, by %s", async (_whose, choose) => {
    const former = strict();
    await former.upsert(makeRoute("a"));
    await spoil(VERSION_FILE);
    await choose(former).upsert(makeRoute("b"));
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-a.conf", "env-b.conf"]);
    expect(await textOf(VERSION_FILE)).toContain("listen");
    expect(door.told).toEqual([]);
  });

  it("with the version in it, is noticed by whoever looks for strays, also when nothing changes", async () => {
    await ingress.upsert(makeRoute("a"));
    await spoil(VERSION_FILE);
    await ingress.removeStrays(new Set(["env-a"]));
    expect(await textOf(VERSION_FILE)).toContain("listen");
    log.length = 0;
    await ingress.removeStrays(new Set(["env-a"]));
    expect(log).toEqual([]);
  });

  it("is found by a platform that is only just started and whose Nginx does not start, and is not put back", async () => {
    await ingress.upsert(makeRoute("a"));
    await ingress.upsert(makeRoute("b"));
    await spoil("env-a.conf");
    const after = door.makeIngress({ test: failing, reload: failing });
    await expect(after.upsert(makeRoute("a"))).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(existsSync(join(confDir, "env-a.conf"))).toBe(false);
    await Promise.all([spoil("env-a.conf"), spoil(VERSION_FILE)]);
    expect((await after.rescue(async () => true)).sort()).toEqual([VERSION_FILE, "env-a.conf"]);
    expect(await after.list()).toMatchObject([{ id: "env-b", enabled: false }]);
    expect(await after.rescue(async () => true)).toEqual([]);
  });

  it("is set aside by a rescue where it is no file at all, which Nginx could not read", async () => {
    await mkdir(join(confDir, "env-a.conf"));
    expect(await ingress.rescue(async () => true)).toEqual(["env-a.conf"]);
  });
});
