import { mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startStandInNginx, type StandInNginx } from "../../test/support/stand-in-nginx.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import type { Route } from "../router.ts";
import { RELOAD_MARK } from "./conf-folder.ts";
import { VERSION_FILE } from "./config-version.ts";
import { createNginxRouter, type NginxRouter } from "./nginx-router.ts";

/**
 * What only shows without Nginx: which changes share a reload, and what happens when a call of the control fails. The
 * rest is proven on the real one, in test/contracts/.
 */
let nginx: StandInNginx;
let confDir = "";
let live: StandInNginx["live"];
let log: StandInNginx["log"];
let router: NginxRouter;

beforeEach(async () => {
  nginx = await startStandInNginx();
  ({ confDir, live, log } = nginx);
  router = nginx.makeRouter();
});
afterEach(() => nginx.remove());

function makeRoute(name: string, port = 3000): Route {
  return { id: `env-${name}`, host: `env-${name}.localhost`, address: "10.172.0.3", port };
}

async function failing(): Promise<never> {
  throw new Error("engine is gone");
}

const failingReload = () => nginx.makeRouter({ reload: failing });

describe("a change of routes", () => {
  it("takes one reload and no test, and a first one more where Nginx has no config version yet", async () => {
    await router.upsert(makeRoute("a"));
    expect(log).toEqual(["reload", "reload"]);
    log.length = 0;
    await router.upsert(makeRoute("b"));
    expect(log).toEqual(["reload"]);
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-a.conf", "env-b.conf"]);
    expect(router.stats()).toEqual({ reloads: 3 });
  });

  it("shares its reload with changes that are asked for together, and not with those that come meanwhile", async () => {
    await router.upsert(makeRoute("first"));
    log.length = 0;
    const during: Promise<void>[] = [];
    const busy = nginx.makeRouter({
      async reload() {
        if (during.length === 0) during.push(...["x", "y", "z"].map((name) => busy.upsert(makeRoute(name))));
        await nginx.control.reload();
      },
    });
    await Promise.all(["a", "b", "c"].map((name) => busy.upsert(makeRoute(name))));
    expect(live.has("env-x.conf")).toBe(false);
    await Promise.all(during);
    expect(log).toEqual(["reload", "reload"]);
    expect(live.has("env-x.conf")).toBe(true);
  });

  it("takes no reload for what Nginx is known to have loaded, until Nginx says otherwise", async () => {
    await router.upsert(makeRoute("a"));
    log.length = 0;
    await router.upsert(makeRoute("a"));
    await router.remove("env-b");
    expect(log).toEqual([]);
    live.clear();
    await router.upsert(makeRoute("a"));
    expect(log).toContain("reload");
  });

  it("takes a reload for a route whose file was removed behind the router's back", async () => {
    await router.upsert(makeRoute("a"));
    await rm(join(confDir, "env-a.conf"));
    log.length = 0;
    await router.remove("env-a");
    expect(log).toEqual(["reload"]);
    await nginx.makeRouter().remove("env-a");
    expect(log).toEqual(["reload", "reload"]);
  });

  it("puts the former route back when Nginx cannot be signalled, and says so", async () => {
    await router.upsert(makeRoute("a", 3000));
    const cut = failingReload();
    const failure = cut.upsert(makeRoute("a", 4000));
    await expect(failure).rejects.toMatchObject({
      code: "ingress_unavailable",
      message: expect.stringContaining("env-a.conf"),
    });
    await expect(failure).rejects.toHaveProperty("cause.message", "engine is gone");
    await expect(cut.upsert(makeRoute("b"))).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(await cut.list()).toMatchObject([{ id: "env-a", enabled: false }]);
    expect(await readFile(join(confDir, "env-a.conf"), "utf8")).toContain("10.172.0.3:3000;");
  });

  it("rejects a removal while Nginx answers and cannot be signalled, though the file is gone", async () => {
    await router.upsert(makeRoute("a"));
    await expect(failingReload().remove("env-a")).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(await router.list()).toEqual([]);
  });

  it("is rejected alone where only its own file cannot be written", async () => {
    await mkdir(join(confDir, "env-a.conf", "full"), { recursive: true });
    const results = await Promise.allSettled([router.upsert(makeRoute("a")), router.upsert(makeRoute("b"))]);
    expect(results).toMatchObject([
      { status: "rejected", reason: { code: "storage_failed" } },
      { status: "fulfilled" },
    ]);
  });

  it("fails with storage_failed while the folder is unusable, and works again afterwards", async () => {
    await rm(confDir, { recursive: true });
    await writeFile(confDir, "in the way");
    await expect(router.upsert(makeRoute("a"))).rejects.toMatchObject({ code: "storage_failed" });
    await expect(router.list()).rejects.toMatchObject({ code: "storage_failed" });
    await rm(confDir);
    await router.upsert(makeRoute("a"));
    await router.enable("env-a");
    expect(await router.list()).toMatchObject([{ id: "env-a", enabled: true }]);
  });
});

describe("an enabled flag", () => {
  it("is one file, and takes no reload, also while another change waits for Nginx", async () => {
    await router.upsert(makeRoute("a"));
    log.length = 0;
    const go = Promise.withResolvers<void>();
    const waiting = nginx.makeRouter({ reload: () => go.promise.then(nginx.control.reload) });
    const other = waiting.upsert(makeRoute("b"));
    await waiting.enable("env-a");
    expect(await readdir(join(confDir, "enabled"))).toEqual(["env-a"]);
    expect(log).toEqual([]);
    go.resolve();
    await other;
  });

  it("goes with a removal before Nginx is waited for, and also where Nginx cannot be signalled", async () => {
    await router.upsert(makeRoute("a"));
    await router.enable("env-a");
    const flags: string[][] = [];
    const cut = nginx.makeRouter({
      async reload() {
        flags.push(await readdir(join(confDir, "enabled")));
        return failing();
      },
    });
    await expect(cut.remove("env-a")).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(flags).toEqual([[]]);
    expect(await cut.list()).toEqual([]);
  });

  it("that was removed by hand leaves its route disabled, until it is enabled again", async () => {
    await router.upsert(makeRoute("a"));
    await router.enable("env-a");
    await rm(join(confDir, "enabled"), { recursive: true });
    expect(await router.list()).toMatchObject([{ id: "env-a", enabled: false }]);
    await router.enable("env-a");
    expect(await router.list()).toMatchObject([{ id: "env-a", enabled: true }]);
  });

  it("of an unknown environment is removed with the strays, and one of a known environment stays", async () => {
    await router.upsert(makeRoute("a"));
    await Promise.all(["env-a", "env-left-1"].map((id) => router.enable(id)));
    expect(await router.removeStrays(new Set(["env-a"]))).toEqual([]);
    expect(await readdir(join(confDir, "enabled"))).toEqual(["env-a"]);
  });
});

describe("the reload mark", () => {
  const isMarked = async () => (await readdir(confDir)).includes(RELOAD_MARK);

  it("is there from before the signal until the new configuration answers, and at no other time", async () => {
    const marks: boolean[] = [];
    const watched = nginx.makeRouter({
      reload: async () => (marks.push(await isMarked()), nginx.control.reload()),
    });
    await watched.upsert(makeRoute("a"));
    expect(marks).toEqual([true, true]);
    await waitUntil("the mark to go", async () => !(await isMarked()));
    await watched.upsert(makeRoute("a"));
    await watched.enable("env-a");
    expect(marks).toHaveLength(2);
    await expect(failingReload().upsert(makeRoute("b"))).rejects.toMatchObject({ code: "ingress_unavailable" });
    await waitUntil("the mark to go", async () => !(await isMarked()));
  });

  it("has answers under way end and no connection kept before the signal, and is short where there are neither", async () => {
    let drain = 0;
    const watched = nginx.makeRouter({
      reload: async () => {
        drain = Date.now() - (await stat(join(confDir, RELOAD_MARK))).mtimeMs;
        await nginx.control.reload();
      },
    });
    /** How long connections were let go of, and how often Nginx was asked for its counters. */
    const during = async (change: () => Promise<void>) => {
      const before = nginx.looks();
      await change();
      return { drain, looks: nginx.looks() - before };
    };
    await watched.upsert(makeRoute("first"));
    expect((await during(() => watched.upsert(makeRoute("a")))).looks).toBe(1);
    nginx.carry(1, 0);
    expect((await during(() => watched.upsert(makeRoute("b")))).drain).toBeGreaterThan(190);
    expect((await during(() => watched.remove("env-first"))).drain).toBeGreaterThan(110);
    nginx.carry(0, 1);
    const kept = await during(() => watched.upsert(makeRoute("c")));
    expect(kept.drain).toBeGreaterThan(290);
    expect(kept.looks).toBeGreaterThan(2);
    expect((await during(() => watched.remove("env-a"))).drain).toBeGreaterThan(290);
    nginx.carry(0, 0);
    expect((await during(() => watched.remove("env-b"))).looks).toBe(1);
  });

  it("that cannot be made does not keep a change from being applied", async () => {
    await mkdir(join(confDir, RELOAD_MARK));
    await router.upsert(makeRoute("a"));
    expect(live.has("env-a.conf")).toBe(true);
  });
});

it("createNginxRouter throws ingress_rejected for a subnet to deny that is none", () => {
  const options = { confDir, internalUrl: "http://127.0.0.1:1", control: nginx.control, deniedSubnets: ["everything"] };
  expect(() => createNginxRouter(options)).toThrow(expect.objectContaining({ code: "ingress_rejected" }));
});

it("removeStrays clears the half-written files of a killed process", async () => {
  await writeFile(join(confDir, ".env-hello-1.conf.0123456789abcdef.tmp"), "# half\n");
  await router.removeStrays(new Set());
  expect((await readdir(confDir)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});
