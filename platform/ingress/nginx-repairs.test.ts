import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startStandInNginx, type StandInNginx } from "../test/support/stand-in-nginx.ts";
import { GENERATION_FILE } from "./generation.ts";
import type { Route } from "./ingress.ts";
import type { NginxIngress } from "./nginx-ingress.ts";

let door: StandInNginx;
let confDir = "";
let live: StandInNginx["live"];
let log: StandInNginx["log"];
let ingress: NginxIngress;

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
    await clashing.put(makeRoute("a"));
    await writeFile(theirs(), "server { listen 8100; }\n");
    await clashing.put(makeRoute("b"));
    expect([...live.keys()].sort()).toEqual([GENERATION_FILE, "env-a.conf", "env-b.conf"]);
    expect(door.told).toEqual([expect.stringMatching(/^theirs\.conf: Nginx does not take up/)]);
    expect(await readdir(join(confDir, "rejected"))).toHaveLength(1);
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
    await tested.put(makeRoute("a"));
    await writeFile(theirs(), "# theirs\n");
    await tested.put(makeRoute("b"));
    breaks = true;
    log.length = 0;
    await tested.remove("env-a");
    expect(log).toEqual(["test", "reload"]);
    expect([...live.keys()].sort()).toEqual([GENERATION_FILE, "env-b.conf"]);
    expect(door.told).toEqual(["theirs.conf: [emerg] in /etc/nginx/conf.d/theirs.conf:1"]);
  });

  it("is given up where there is nothing else to blame, and nothing is set aside where Nginx cannot be door.told", async () => {
    await ingress.put(makeRoute("a"));
    await expect(door.makeIngress({ reload: async () => undefined }).put(makeRoute("b"))).rejects.toMatchObject({
      code: "ingress_unavailable",
      message: expect.stringContaining("within 200 ms"),
    });
    await writeFile(theirs(), "# theirs\n");
    for (const broken of [{ test: failing }, { reload: failing }]) {
      await expect(door.makeIngress(broken).put(makeRoute("b"))).rejects.toMatchObject({ code: "ingress_unavailable" });
    }
    expect(door.told).toEqual([]);
    expect(existsSync(theirs())).toBe(true);
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
    await ingress.put(makeRoute("a"));
    expect(await ingress.check()).toMatchObject({ ok: true });
    await replace();
    expect(await ingress.check()).toEqual({
      ok: false,
      detail: expect.stringMatching(/removed or replaced.*restarted$/),
    });
    log.length = 0;
    await ingress.put(makeRoute("b"));
    expect(log.filter((call) => call === "restart")).toHaveLength(1);
    expect(live.has("env-b.conf")).toBe(true);
    expect(door.told).toEqual([expect.stringContaining("removed or replaced")]);
    expect(await ingress.check()).toMatchObject({ ok: true });
    await ingress.put(makeRoute("c"));
    expect(log.filter((call) => call === "restart")).toHaveLength(1);
  });

  it("is made anew and noticed by whoever looks for strays, also when nothing changes", async () => {
    await ingress.put(makeRoute("a"));
    await replace();
    await rm(confDir, { recursive: true });
    expect(await ingress.list()).toEqual([]);
    await ingress.removeStrays(new Set());
    expect(log).toContain("restart");
    expect((await readdir(confDir)).filter((name) => name.startsWith(".seen-"))).toEqual([]);
  });

  it("is no reason for a second restart where the first did not help, until Nginx has it after all", async () => {
    const elsewhere = door.makeIngress({ restart: async () => void log.push("restart") });
    await elsewhere.put(makeRoute("a"));
    await replace();
    for (let times = 0; times < 2; times++) {
      await expect(elsewhere.put(makeRoute("b"))).rejects.toMatchObject({
        code: "ingress_unavailable",
        message: expect.stringContaining("NGINX_CONF_DIR"),
      });
    }
    expect(await elsewhere.check()).toEqual({ ok: false, detail: expect.stringContaining("NGINX_CONF_DIR") });
    expect(log.filter((call) => call === "restart")).toHaveLength(1);
    door.mount(confDir);
    await elsewhere.put(makeRoute("b"));
    await rm(former, { recursive: true });
    await replace();
    await expect(elsewhere.put(makeRoute("c"))).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(log.filter((call) => call === "restart")).toHaveLength(2);
  });

  it("is told with the reason where Nginx cannot be restarted", async () => {
    await ingress.put(makeRoute("a"));
    await replace();
    await expect(door.makeIngress({ restart: failing }).put(makeRoute("b"))).rejects.toMatchObject({
      code: "ingress_unavailable",
      message: expect.stringContaining("cannot be restarted: engine is gone"),
    });
    expect(door.told).toEqual([]);
  });
});
