import { mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startStandInNginx, type StandInNginx } from "../../test/support/stand-in-nginx.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { RELOAD_MARK } from "./conf-folder.ts";
import { VERSION_FILE } from "./config-version.ts";
import type { Route } from "../router.ts";
import { createNginxRouter, type NginxRouter } from "./nginx-router.ts";

/**
 * What only shows without Nginx: who shares which reload, and what happens when a call of the control
 * fails. The rest is proven on the real one, in test/contracts/.
 */
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

function makeRoute(name: string, port = 3000): Route {
  return { id: `env-${name}`, host: `env-${name}.localhost`, address: "10.172.0.3", port };
}

describe("createNginxIngress", () => {
  it("tests before it reloads, and gives an Nginx without a version one first", async () => {
    await ingress.upsert(makeRoute("a"));
    expect(log).toEqual(["test", "reload", "reload"]);
    log.length = 0;
    await ingress.upsert(makeRoute("b"));
    expect(log).toEqual(["test", "reload"]);
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-a.conf", "env-b.conf"]);
  });

  it("shares one reload among changes asked for together, and the next among those that come meanwhile", async () => {
    await ingress.upsert(makeRoute("first"));
    log.length = 0;
    const during: Promise<void>[] = [];
    const busy = door.makeIngress({
      async reload() {
        if (during.length === 0) during.push(...["x", "y", "z"].map((name) => busy.upsert(makeRoute(name))));
        await door.control.reload();
      },
    });
    await Promise.all(["a", "b", "c"].map((name) => busy.upsert(makeRoute(name))));
    expect(live.has("env-x.conf")).toBe(false);
    await Promise.all(during);
    expect(log).toEqual(["test", "reload", "test", "reload"]);
    expect(live.has("env-x.conf")).toBe(true);
  });

  it("does nothing for what Nginx is known to have loaded, until Nginx says otherwise", async () => {
    await ingress.upsert(makeRoute("a"));
    log.length = 0;
    await ingress.upsert(makeRoute("a"));
    await ingress.remove("env-b");
    expect(log).toEqual([]);
    live.clear();
    await ingress.upsert(makeRoute("a"));
    expect(log).toContain("reload");
  });

  it("reloads for a route whose file somebody else took away or put there", async () => {
    await ingress.upsert(makeRoute("a"));
    await rm(join(confDir, "env-a.conf"));
    log.length = 0;
    await ingress.remove("env-a");
    expect(log).toEqual(["reload"]);
    await door.makeIngress().remove("env-a");
    expect(log).toEqual(["reload", "test", "reload"]);
  });

  it("puts the former route back when the engine cannot test or reload, and says that Nginx is not to be had", async () => {
    await ingress.upsert(makeRoute("a", 3000));
    for (const broken of [{ test: failing }, { reload: failing }]) {
      const cut = door.makeIngress(broken);
      const failure = cut.upsert(makeRoute("a", 4000));
      await expect(failure).rejects.toMatchObject({
        code: "ingress_unavailable",
        message: expect.stringContaining("env-a.conf"),
      });
      await expect(failure).rejects.toHaveProperty("cause.message", "engine is gone");
      await expect(cut.upsert(makeRoute("b"))).rejects.toMatchObject({ code: "ingress_unavailable" });
      expect(await cut.list()).toMatchObject([{ id: "env-a", enabled: false }]);
      expect(await readFile(join(confDir, "env-a.conf"), "utf8")).toContain("10.172.0.3:3000;");
    }
  });

  it("does not call a removal done while Nginx answers and cannot be told", async () => {
    await ingress.upsert(makeRoute("a"));
    await expect(door.makeIngress({ reload: failing }).remove("env-a")).rejects.toMatchObject({
      code: "ingress_unavailable",
    });
    expect(await ingress.list()).toEqual([]);
  });

  it("recovers after any number of reloads that were not taken up", async () => {
    let deaf = true;
    const slow = door.makeIngress({ reload: async () => (deaf ? undefined : door.control.reload()) });
    await door.control.reload();
    await ingress.upsert(makeRoute("first"));
    for (let n = 0; n < 6; n++)
      await expect(slow.upsert(makeRoute("a"))).rejects.toMatchObject({ code: "ingress_unavailable" });
    deaf = false;
    await slow.upsert(makeRoute("a"));
    expect(live.has("env-a.conf")).toBe(true);
  });

  it("tells only the one whose file cannot be written", async () => {
    await mkdir(join(confDir, "env-a.conf", "full"), { recursive: true });
    const results = await Promise.allSettled([ingress.upsert(makeRoute("a")), ingress.upsert(makeRoute("b"))]);
    expect(results).toMatchObject([
      { status: "rejected", reason: { code: "storage_failed" } },
      { status: "fulfilled" },
    ]);
  });

  it("removes without a test, as long as all that stays was tested before", async () => {
    await Promise.all(["a", "b", "c", "d"].map((name) => ingress.upsert(makeRoute(name))));
    log.length = 0;
    await Promise.all(["a", "b"].map((name) => ingress.remove(`env-${name}`)));
    expect(log).toEqual(["reload"]);
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-c.conf", "env-d.conf"]);
    await writeFile(join(confDir, "theirs.conf"), "# theirs\n");
    log.length = 0;
    await ingress.remove("env-c");
    expect(log).toEqual(["test", "reload"]);
    await writeFile(join(confDir, "theirs.conf"), "# something else\n");
    await Promise.all([ingress.remove("env-d"), ingress.upsert(makeRoute("e"))]);
    await ingress.remove("env-e");
    expect(log).toEqual(["test", "reload", "test", "reload", "reload"]);
  });

  it("fails with storage_failed when the folder cannot be had, and works again once it can", async () => {
    await rm(confDir, { recursive: true });
    await writeFile(confDir, "in the way");
    await expect(ingress.upsert(makeRoute("a"))).rejects.toMatchObject({ code: "storage_failed" });
    await expect(ingress.list()).rejects.toMatchObject({ code: "storage_failed" });
    await rm(confDir);
    await ingress.upsert(makeRoute("a"));
    await ingress.enable("env-a");
    expect(await ingress.list()).toMatchObject([{ id: "env-a", enabled: true }]);
  });

  it("opens a route by one file, without a test or a reload, and also while a reload is stuck", async () => {
    await ingress.upsert(makeRoute("a"));
    log.length = 0;
    let go = (): void => undefined;
    const stuck = door.makeIngress({ test: () => new Promise((done) => (go = () => done({ ok: true, output: "" }))) });
    const other = stuck.upsert(makeRoute("b"));
    await stuck.enable("env-a");
    expect(await readdir(join(confDir, "enabled"))).toEqual(["env-a"]);
    expect(log).toEqual([]);
    await waitUntil("the test", () => (go(), log.length > 0));
    await other;
  });

  it("closes a route before anything is waited for, and also where Nginx cannot be told", async () => {
    await ingress.upsert(makeRoute("a"));
    await ingress.enable("env-a");
    const gates: string[][] = [];
    const cut = door.makeIngress({
      async test() {
        gates.push(await readdir(join(confDir, "enabled")));
        return failing();
      },
    });
    await expect(cut.remove("env-a")).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(gates).toEqual([[]]);
    expect(await cut.list()).toEqual([]);
  });

  it("marks a reload from before the test until the new configuration answers, and at no other time", async () => {
    const marks: string[] = [];
    const note = async (when: string): Promise<void> => {
      if ((await readdir(confDir)).includes(RELOAD_MARK)) marks.push(when);
    };
    const watched = door.makeIngress({
      test: async () => (await note("test"), door.control.test()),
      reload: async () => (await note("reload"), door.control.reload()),
    });
    await watched.upsert(makeRoute("a"));
    expect(marks).toEqual(["test", "reload", "reload"]);
    await waitUntil("the mark to go", async () => !(await readdir(confDir)).includes(RELOAD_MARK));
    await watched.upsert(makeRoute("a"));
    await watched.enable("env-a");
    expect(marks).toHaveLength(3);
    for (const broken of [{ test: failing }, { reload: failing }]) {
      await expect(door.makeIngress(broken).upsert(makeRoute("b"))).rejects.toMatchObject({
        code: "ingress_unavailable",
      });
      await waitUntil("the mark to go", async () => !(await readdir(confDir)).includes(RELOAD_MARK));
    }
  });

  it("lets go of connections before it reloads: answers under way end, and none is kept; at once where there are neither", async () => {
    let drain = 0;
    const watched = door.makeIngress({
      reload: async () => {
        drain = Date.now() - (await stat(join(confDir, RELOAD_MARK))).mtimeMs;
        await door.control.reload();
      },
    });
    /** How long connections were let go of, and how often it was asked whether some are kept. */
    const during = async (change: () => Promise<void>) => {
      const before = door.looks();
      await change();
      return { drain, looks: door.looks() - before };
    };
    await watched.upsert(makeRoute("first"));
    expect((await during(() => watched.upsert(makeRoute("a")))).looks).toBe(1);
    door.carry(1, 0);
    expect((await during(() => watched.upsert(makeRoute("b")))).drain).toBeGreaterThan(190);
    expect((await during(() => watched.remove("env-first"))).drain).toBeGreaterThan(110);
    door.carry(0, 1);
    const kept = await during(() => watched.upsert(makeRoute("c")));
    expect(kept.drain).toBeGreaterThan(290);
    expect(kept.looks).toBeGreaterThan(2);
    expect((await during(() => watched.remove("env-a"))).drain).toBeGreaterThan(290);
    door.carry(0, 0);
    expect((await during(() => watched.remove("env-b"))).looks).toBe(1);
  });

  it("reloads all the same when the mark cannot be made", async () => {
    await mkdir(join(confDir, RELOAD_MARK));
    await ingress.upsert(makeRoute("a"));
    expect(live.has("env-a.conf")).toBe(true);
  });

  it("counts its reloads", async () => {
    expect(ingress.stats()).toEqual({ reloads: 0 });
    await ingress.upsert(makeRoute("a"));
    expect(ingress.stats()).toEqual({ reloads: 2 });
  });

  it("refuses to be made with a subnet to deny that is none", () => {
    const options = {
      confDir,
      internalUrl: "http://127.0.0.1:1",
      control: door.control,
      deniedSubnets: ["everything"],
    };
    expect(() => createNginxRouter(options)).toThrow(expect.objectContaining({ code: "ingress_rejected" }));
  });
});

async function failing(): Promise<never> {
  throw new Error("engine is gone");
}

describe("what somebody else does in the folder", () => {
  const ROUTE: Route = {
    id: "env-hello-mf3k2x9a",
    host: "env-hello-mf3k2x9a.localhost",
    address: "10.172.0.3",
    port: 3000,
  };
  const put = (name: string) => writeFile(join(confDir, name), "# theirs\n");

  it("a route with another text in its file counts as none, until it is put again", async () => {
    await ingress.upsert(ROUTE);
    expect(await ingress.list()).toMatchObject([{ id: ROUTE.id, enabled: false }]);
    await put(`${ROUTE.id}.conf`);
    expect(await ingress.list()).toEqual([]);
    await ingress.upsert(ROUTE);
    expect(await ingress.list()).toMatchObject([{ id: ROUTE.id, enabled: false }]);
    expect(live.get(`${ROUTE.id}.conf`)).toContain(ROUTE.host);
  });

  it("a foreign file is tested once, loaded, and left where it is", async () => {
    await ingress.upsert(ROUTE);
    await put("theirs.conf");
    const known = new Set([ROUTE.id]);
    log.length = 0;
    expect(await ingress.removeStrays(known)).toEqual([]);
    expect(log).toEqual(["test", "reload"]);
    expect(await ingress.removeStrays(known)).toEqual([]);
    expect(log).toEqual(["test", "reload"]);
    expect(live.has("theirs.conf")).toBe(true);
  });

  it("a foreign file stays, and no route is called refused, where Nginx refuses for what is in no file", async () => {
    await put("theirs.conf");
    const full = '[emerg] open() "/run/nginx.pid" failed (28: No space left on device)';
    const cramped = door.makeIngress({ test: async () => ({ ok: false, output: full }) });
    await expect(cramped.upsert(ROUTE)).rejects.toMatchObject({
      code: "ingress_unavailable",
      message: expect.stringContaining(full),
    });
    expect(await readdir(join(confDir, "rejected"))).toEqual([]);
    expect(await readdir(confDir)).toContain("theirs.conf");
    expect(door.told).toEqual([]);
  });

  it("rescue sets aside what did not come from here, and nothing else", async () => {
    await ingress.upsert(ROUTE);
    await ingress.upsert({ ...ROUTE, id: "env-spoilt-1", host: "env-spoilt-1.localhost" });
    await Promise.all([put("theirs.conf"), put("env-spoilt-1.conf")]);
    expect((await ingress.rescue(async () => true)).sort()).toEqual(["env-spoilt-1.conf", "theirs.conf"]);
    expect((await readdir(confDir)).sort()).toEqual([VERSION_FILE, `${ROUTE.id}.conf`, "rejected"]);
  });

  it("rescue puts everything back where Nginx does not start without it either, and tells of what helped", async () => {
    await put("theirs.conf");
    expect(await ingress.rescue(async () => false)).toEqual([]);
    await expect(ingress.rescue(failing)).rejects.toThrow("engine is gone");
    expect(await readdir(confDir)).toContain("theirs.conf");
    expect(door.told).toEqual([]);
    const helps = async () => !(await readdir(confDir)).includes("theirs.conf");
    expect(await ingress.rescue(helps)).toEqual(["theirs.conf"]);
    expect(door.told).toEqual([expect.stringMatching(/^theirs\.conf: Nginx does not start/)]);
    expect(await ingress.rescue(failing)).toEqual([]);
  });

  it("gates that nobody knows go, those of known environments stay", async () => {
    await ingress.upsert(ROUTE);
    await Promise.all([ROUTE.id, "env-left-1"].map((id) => ingress.enable(id)));
    expect(await ingress.removeStrays(new Set([ROUTE.id]))).toEqual([]);
    expect(await readdir(join(confDir, "enabled"))).toEqual([ROUTE.id]);
  });

  it("a route whose gate is gone is closed, until it is opened again", async () => {
    await ingress.upsert(ROUTE);
    await ingress.enable(ROUTE.id);
    await rm(join(confDir, "enabled"), { recursive: true });
    expect(await ingress.list()).toMatchObject([{ id: ROUTE.id, enabled: false }]);
    await ingress.enable(ROUTE.id);
    expect(await ingress.list()).toMatchObject([{ id: ROUTE.id, enabled: true }]);
  });

  it("half-written files of a killed process are cleared", async () => {
    await put(".env-hello-1.conf.0123456789abcdef.tmp");
    await ingress.removeStrays(new Set());
    expect((await readdir(confDir)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
