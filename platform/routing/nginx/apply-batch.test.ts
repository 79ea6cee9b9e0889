import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startStandInNginx, type StandInNginx } from "../../test/support/stand-in-nginx.ts";
import type { Route } from "../router.ts";
import { VERSION_FILE } from "./config-version.ts";
import type { NginxRouter } from "./nginx-router.ts";

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

const textOf = (name: string) => readFile(join(confDir, name), "utf8");
const files = async () => (await readdir(confDir)).filter((name) => name.endsWith(".conf")).sort();
const restarts = () => log.filter((call) => call === "restart").length;

/** An Nginx that refuses every configuration with `666` in a file, and names none. */
function makePicky(): NginxRouter {
  const isBad = async () => {
    const texts = await Promise.all((await files()).map(textOf));
    return texts.some((text) => text.includes(":666;"));
  };
  return nginx.makeRouter({
    async test() {
      log.push("test");
      const output = "nginx: [warn] a name\n2030/01/01 [emerg] 9#9: could not build the hash\nnginx: test failed";
      return (await isBad()) ? { ok: false, output } : { ok: true, output: "nginx: [warn] a name\nsyntax is ok" };
    },
    reload: async () => ((await isBad()) ? undefined : nginx.control.reload()),
  });
}

describe("a config version that does not come because Nginx refuses a file of the batch", () => {
  const REFUSED = {
    code: "ingress_rejected",
    message: expect.stringMatching(
      /^Cannot route "env-\w+\.conf": Nginx refuses the configuration: .*\[emerg\][^\n]*hash$/,
    ),
  };

  it("has that file's change rejected with Nginx's reason, and all others applied", async () => {
    const picky = makePicky();
    await Promise.all(["a", "gone"].map((name) => picky.upsert(makeRoute(name))));
    const results = await Promise.allSettled([
      picky.upsert(makeRoute("a", 666)),
      picky.upsert(makeRoute("b")),
      picky.upsert(makeRoute("c", 666)),
      picky.remove("env-gone"),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected", "fulfilled"]);
    expect(results[0]).toMatchObject({ reason: REFUSED });
    expect(await files()).toEqual([VERSION_FILE, "env-a.conf", "env-b.conf"]);
    expect([...live.keys()].sort()).toEqual(await files());
    expect(await textOf("env-a.conf")).toContain("10.172.0.3:3000;");
    expect(nginx.told.map((line) => line.split(":")[0])).toEqual(["env-a.conf", "env-c.conf"]);
    expect(await readdir(join(confDir, "rejected"))).toHaveLength(2);
  });

  it("leaves Nginx and the folder at one config version where no other change is in the batch", async () => {
    const picky = makePicky();
    await expect(picky.upsert(makeRoute("a", 666))).rejects.toMatchObject(REFUSED);
    await picky.upsert(makeRoute("b"));
    expect(await picky.check()).toMatchObject({ ok: true });
  });
});

describe("a config version that does not come for another cause", () => {
  it("has the batch rejected with Nginx's words, and nothing quarantined, where Nginx refuses it without the batch too", async () => {
    await router.upsert(makeRoute("a"));
    const full = '[emerg] open() "/run/nginx.pid" failed (28: No space left on device)';
    const cramped = nginx.makeRouter({
      test: async () => ({ ok: false, output: full }),
      reload: async () => undefined,
    });
    await expect(cramped.upsert(makeRoute("b"))).rejects.toMatchObject({
      code: "ingress_unavailable",
      message: expect.stringContaining(full),
    });
    expect(await files()).toEqual([VERSION_FILE, "env-a.conf"]);
    expect(nginx.told).toEqual([]);
    expect(restarts()).toBe(0);
  });

  it("has the batch rejected where Nginx cannot be tested", async () => {
    await router.upsert(makeRoute("a"));
    const cut = nginx.makeRouter({ test: failing, reload: async () => undefined });
    await expect(cut.upsert(makeRoute("a", 4000))).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(await textOf("env-a.conf")).toContain("10.172.0.3:3000;");
  });

  it("is waited for again before Nginx is restarted", async () => {
    await router.upsert(makeRoute("a"));
    let signals = 0;
    const slow = nginx.makeRouter({ reload: async () => (++signals === 1 ? undefined : nginx.control.reload()) });
    await slow.upsert(makeRoute("b"));
    expect(live.has("env-b.conf")).toBe(true);
    expect(restarts()).toBe(0);
  });

  it("has Nginx restarted once, which is reported, where a second reload does not help", async () => {
    await router.upsert(makeRoute("a"));
    const stubborn = nginx.makeRouter({ reload: async () => undefined });
    await stubborn.upsert(makeRoute("b"));
    expect(restarts()).toBe(1);
    expect(nginx.told).toEqual([expect.stringContaining("did not take it up")]);
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-a.conf", "env-b.conf"]);
  });

  it("is reported by check, and no reason for a second restart, where a restart does not help", async () => {
    let isStuck = true;
    await router.upsert(makeRoute("a"));
    const stuck = nginx.makeRouter(
      {
        reload: async () => (isStuck ? undefined : nginx.control.reload()),
        restart: async () => (isStuck ? void log.push("restart") : nginx.control.restart()),
      },
      { restartTimeoutMs: 100 },
    );
    for (let times = 0; times < 6; times++)
      await expect(stuck.upsert(makeRoute("b"))).rejects.toMatchObject({
        code: "ingress_unavailable",
        message: expect.stringContaining("nor did it after a restart"),
      });
    expect(restarts()).toBe(1);
    expect(await stuck.check()).toEqual({ ok: false, detail: expect.stringContaining("make up") });
    isStuck = false;
    await stuck.removeStrays(new Set(["env-a"]));
    expect(await stuck.check()).toMatchObject({ ok: true });
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-a.conf"]);
  });
});

describe("a conf.d that was removed or replaced while Nginx keeps the former one", () => {
  let former = "";
  beforeEach(async () => {
    former = `${confDir}-former`;
    await router.upsert(makeRoute("a"));
    await rename(confDir, former);
    nginx.mount(former);
    await mkdir(confDir);
    log.length = 0;
  });
  afterEach(() => rm(former, { recursive: true, force: true }));

  it.each([
    ["the next change", () => router.upsert(makeRoute("b")), ["env-b.conf"]],
    ["a removal of strays, though nothing changes", () => router.removeStrays(new Set()), []],
  ])("is given to Nginx by a restart with %s", async (_when, change, expected) => {
    expect(await router.check()).toEqual({ ok: false, detail: expect.stringContaining("conf.d holds none") });
    await change();
    expect(restarts()).toBe(1);
    expect([...live.keys()]).toEqual([VERSION_FILE, ...expected]);
    expect(await router.check()).toMatchObject({ ok: true });
    await router.upsert(makeRoute("c"));
    expect(restarts()).toBe(1);
  });

  it("has a change rejected with the reason where Nginx cannot be restarted", async () => {
    await expect(nginx.makeRouter({ restart: failing }).upsert(makeRoute("b"))).rejects.toMatchObject({
      code: "ingress_unavailable",
      message: expect.stringContaining("engine is gone"),
    });
    expect(nginx.told).toEqual([]);
  });
});

describe("a foreign file in conf.d", () => {
  const put = (name: string, text = "# theirs\n") => writeFile(join(confDir, name), text);

  it.each([
    ["a change of another route", () => router.upsert(makeRoute("b"))],
    ["a removal of strays", () => router.removeStrays(new Set(["env-a"]))],
    ["a look before Nginx is started", () => router.quarantineForeign()],
  ])("is quarantined and reported by %s", async (_by, work) => {
    await router.upsert(makeRoute("a"));
    await Promise.all([put("theirs.conf"), put("env-tampered.conf"), mkdir(join(confDir, "folder.conf"))]);
    await work();
    expect((await files()).filter((name) => name !== "env-b.conf")).toEqual([VERSION_FILE, "env-a.conf"]);
    expect((await readdir(join(confDir, "rejected"))).map((name) => name.split(".conf")[0]).sort()).toEqual([
      "env-tampered",
      "folder",
      "theirs",
    ]);
    expect(nginx.told.sort()).toEqual(
      ["env-tampered.conf", "folder.conf", "theirs.conf"].map((name) => expect.stringMatching(`^${name}: .*extra.d`)),
    );
  });

  it("that Nginx has loaded is unloaded by the removal of strays", async () => {
    await router.upsert(makeRoute("a"));
    await put("theirs.conf");
    await nginx.control.reload();
    expect(live.has("theirs.conf")).toBe(true);
    await router.removeStrays(new Set(["env-a"]));
    expect([...live.keys()].sort()).toEqual([VERSION_FILE, "env-a.conf"]);
    log.length = 0;
    await router.removeStrays(new Set(["env-a"]));
    expect(log).toEqual([]);
  });

  it("under an environment's name leaves that without a route, until the route is upserted again", async () => {
    await router.upsert(makeRoute("a"));
    await put("env-a.conf");
    expect(await router.list()).toEqual([]);
    await router.upsert(makeRoute("a"));
    expect(await router.list()).toMatchObject([{ id: "env-a", enabled: false }]);
    expect(live.get("env-a.conf")).toContain("env-a.localhost");
  });

  it("under an environment's name is not put back where that route's upsert fails", async () => {
    await router.upsert(makeRoute("a"));
    await put("env-a.conf");
    const cut = nginx.makeRouter({ reload: failing });
    await expect(cut.upsert(makeRoute("a"))).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(await files()).toEqual([VERSION_FILE]);
  });

  it("is none where an earlier release wrote it, which Nginx goes on serving, or a power cut emptied it", async () => {
    await router.upsert(makeRoute("a"));
    const outdated = (await textOf("env-a.conf")).replace("keepalive 128", "keepalive 64").replaceAll("env-a", "env-b");
    await Promise.all([put("env-b.conf", outdated), put("env-c.conf", "")]);
    expect(await nginx.makeRouter().quarantineForeign()).toEqual([]);
    expect(await router.list()).toMatchObject([{ id: "env-a" }]);
  });
});

describe("a spoilt file of the config version", () => {
  const spoil = () => writeFile(join(confDir, VERSION_FILE), "garbage");
  type Work = (router: NginxRouter) => Promise<unknown>;

  it.each<[string, Work]>([
    ["the next change", (by) => by.upsert(makeRoute("b"))],
    ["the removal of strays", (by) => by.removeStrays(new Set(["env-a"]))],
    ["a look before Nginx is started", (by) => by.quarantineForeign()],
    ["the next change by a platform that has just started", () => nginx.makeRouter().upsert(makeRoute("b"))],
  ])("is written anew by %s", async (_by, work) => {
    await router.upsert(makeRoute("a"));
    await spoil();
    expect(await router.check()).toMatchObject({ ok: false });
    await work(router);
    expect(await textOf(VERSION_FILE)).toContain("listen");
    expect(nginx.told).toEqual([]);
    await router.removeStrays(new Set(["env-a", "env-b"]));
    expect(await router.check()).toMatchObject({ ok: true });
  });
});
