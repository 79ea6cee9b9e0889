import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ENABLED_FOLDER, RELOAD_MARK } from "../../routing/nginx/conf-folder.ts";
import type { Route } from "../../routing/router.ts";
import { createNginxRouter, type NginxControl, type NginxRouter } from "../../routing/nginx/nginx-router.ts";
import { startNginxContainer, type NginxContainer } from "../support/nginx-container.ts";
import { waitUntil } from "../support/wait-until.ts";

let nginx: NginxContainer;
let ingress: NginxRouter;
let port = 0;
let counter = 0;

beforeAll(async () => {
  nginx = await startNginxContainer();
  ({ port } = await nginx.listen((_, response) => response.end("mine")));
  ingress = makeIngress();
});
afterEach(() => rm(mark(), { force: true }));
afterAll(() => nginx?.dispose());

const mark = (): string => join(nginx.confDir, RELOAD_MARK);

function makeIngress(control: Partial<NginxControl> = {}): NginxRouter {
  const { confDir, internalUrl, environments } = nginx;
  return createNginxRouter({
    confDir,
    internalUrl,
    control: { ...nginx.control, ...control },
    deniedSubnets: [environments.subnet, nginx.intruder.subnet],
  });
}

function makeRoute(): Route {
  const id = `env-gate-${(++counter).toString(36)}`;
  return { id, host: `${id}.localhost`, address: nginx.gateway, port };
}

/** Everything of an answer but when it was given. */
async function ask(host: string, options: Parameters<NginxContainer["get"]>[1] = {}): Promise<unknown> {
  const { status, headers, body } = await nginx.get(host, options);
  const { date: _, ...rest } = headers;
  return { status, headers: rest, body };
}

describe.each([
  ["", false],
  [" while Nginx reloads", true],
])("a closed route%s", (_, reloading) => {
  it.each([
    ["GET", { headers: { connection: "keep-alive" } }],
    ["GET of some path", { path: "/any/thing?x=1" }],
    ["HEAD", { method: "HEAD" }],
    ["POST", { method: "POST", headers: { "content-length": "0" } }],
    ["OPTIONS", { method: "OPTIONS" }],
  ])("answers a %s as an unknown host does", async (_, request) => {
    const route = makeRoute();
    await ingress.upsert(route);
    await waitUntil("the end of its own reload", () => !existsSync(mark()), 1_000, 5);
    if (reloading) await writeFile(mark(), "");
    const unknown = await ask("nobody.localhost", request);
    expect(unknown).toMatchObject({ status: 404, headers: { "content-type": "text/plain" } });
    expect(await ask(route.host, request)).toEqual(unknown);
    expect(await nginx.get(route.host, { ...request, port: 8081 })).toMatchObject({
      status: 200,
      headers: { "x-sandbox-upstream-status": "200" },
    });
  });

  it("is to whoever is denied what an open one and an unknown host are: forbidden", async () => {
    const [open, closed] = [makeRoute(), makeRoute()];
    await Promise.all([open, closed].map((route) => ingress.upsert(route)));
    await ingress.enable(open.id);
    if (reloading) await writeFile(mark(), "");
    const requests = [open.host, closed.host, "nobody.localhost"].map(
      (host) =>
        `exec 3<>/dev/tcp/${nginx.address}/80; printf 'GET / HTTP/1.1\\r\\nHost: ${host}\\r\\n\\r\\n' >&3; timeout 1 cat <&3; echo "<end>"`,
    );
    const [first = "", ...others] = (await nginx.intruder.run(requests.join("\n")))
      .replaceAll(/^Date: .*$/gm, "")
      .split("<end>\n");
    expect(first).toContain("HTTP/1.1 403 ");
    expect(others).toEqual([first, first, ""]);
  });
});

describe("a gate", () => {
  it("opens for every new request, and takes no reload", async () => {
    const routes = Array.from({ length: 10 }, () => makeRoute());
    await Promise.all(routes.map((route) => ingress.upsert(route)));
    const before = ingress.stats().reloads;
    for (const route of routes) {
      await ingress.enable(route.id);
      const answers = await Promise.all(Array.from({ length: 20 }, () => nginx.get(route.host)));
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    }
    expect(ingress.stats().reloads).toBe(before);
  });

  it("closes with the removal, before Nginx is told of anything", async () => {
    const route = makeRoute();
    await ingress.upsert(route);
    await ingress.enable(route.id);
    let go = (): void => undefined;
    const held = makeIngress({ test: () => new Promise((done) => (go = () => done({ ok: true, output: "" }))) });
    const removed = held.remove(route.id);
    await waitUntil("the gate to go", () => !existsSync(join(nginx.confDir, ENABLED_FOLDER, route.id)));
    expect((await nginx.get(route.host)).status).toBe(404);
    expect((await nginx.get(route.host, { port: 8081 })).status).toBe(200);
    await waitUntil("the test", () => (go(), held.stats().reloads > 0));
    await removed;
    expect((await nginx.get(route.host, { port: 8081 })).status).toBe(404);
  });

  it("is as it was after a restart of Nginx and of the platform", async () => {
    const [open, closed] = [makeRoute(), makeRoute()];
    await Promise.all([open, closed].map((route) => ingress.upsert(route)));
    await ingress.enable(open.id);
    await nginx.stop();
    await nginx.start();
    const listed = await makeIngress().list();
    expect(listed).toContainEqual(expect.objectContaining({ id: open.id, enabled: true }));
    expect(listed).toContainEqual(expect.objectContaining({ id: closed.id, enabled: false }));
    expect((await nginx.get(open.host)).status).toBe(200);
    expect((await nginx.get(closed.host)).status).toBe(404);
  });
});
