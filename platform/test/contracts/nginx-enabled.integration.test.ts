import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ENABLED_FOLDER, RELOAD_MARK } from "../../routing/nginx/conf-folder.ts";
import type { Route } from "../../routing/router.ts";
import type { NginxRouter } from "../../routing/nginx/nginx-router.ts";
import { startNginxContainer, type NginxContainer } from "../support/nginx-container.ts";
import { waitUntil } from "../support/wait-until.ts";

let nginx: NginxContainer;
let router: NginxRouter;
let port = 0;
let counter = 0;

beforeAll(async () => {
  nginx = await startNginxContainer();
  ({ port } = await nginx.listen((_, response) => response.end("mine")));
  router = nginx.makeRouter();
});
afterEach(() => rm(mark(), { force: true }));
afterAll(() => nginx?.dispose());

const mark = (): string => join(nginx.confDir, RELOAD_MARK);

function makeRoute(): Route {
  const id = `env-enabled-${(++counter).toString(36)}`;
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
])("a disabled route%s", (_, reloading) => {
  it.each([
    ["GET", { headers: { connection: "keep-alive" } }],
    ["GET of some path", { path: "/any/thing?x=1" }],
    ["HEAD", { method: "HEAD" }],
    ["POST", { method: "POST", headers: { "content-length": "0" } }],
    ["OPTIONS", { method: "OPTIONS" }],
  ])("answers a %s as an unknown host does", async (_, request) => {
    const route = makeRoute();
    await router.upsert(route);
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

  it("answers a denied client as an enabled route and an unknown host do: forbidden", async () => {
    const [enabled, disabled] = [makeRoute(), makeRoute()];
    await Promise.all([enabled, disabled].map((route) => router.upsert(route)));
    await router.enable(enabled.id);
    if (reloading) await writeFile(mark(), "");
    const requests = [enabled.host, disabled.host, "nobody.localhost"].map(
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

describe("an enabled flag", () => {
  it("lets every new request through, and takes no reload", async () => {
    const routes = Array.from({ length: 10 }, () => makeRoute());
    await Promise.all(routes.map((route) => router.upsert(route)));
    const before = router.stats().reloads;
    for (const route of routes) {
      await router.enable(route.id);
      const answers = await Promise.all(Array.from({ length: 20 }, () => nginx.get(route.host)));
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    }
    expect(router.stats().reloads).toBe(before);
  });

  it("goes with the removal, before Nginx is signalled", async () => {
    const route = makeRoute();
    await router.upsert(route);
    await router.enable(route.id);
    const go = Promise.withResolvers<void>();
    const held = nginx.makeRouter({
      control: { ...nginx.control, reload: () => go.promise.then(nginx.control.reload) },
    });
    const removed = held.remove(route.id);
    await waitUntil("the flag to go", () => !existsSync(join(nginx.confDir, ENABLED_FOLDER, route.id)));
    expect((await nginx.get(route.host)).status).toBe(404);
    expect((await nginx.get(route.host, { port: 8081 })).status).toBe(200);
    go.resolve();
    await removed;
    expect((await nginx.get(route.host, { port: 8081 })).status).toBe(404);
  });

  it("is as it was after a restart of Nginx and of the platform", async () => {
    const [enabled, disabled] = [makeRoute(), makeRoute()];
    await Promise.all([enabled, disabled].map((route) => router.upsert(route)));
    await router.enable(enabled.id);
    await nginx.stop();
    await nginx.start();
    const listed = await nginx.makeRouter().list();
    expect(listed).toContainEqual(expect.objectContaining({ id: enabled.id, enabled: true }));
    expect(listed).toContainEqual(expect.objectContaining({ id: disabled.id, enabled: false }));
    expect((await nginx.get(enabled.host)).status).toBe(200);
    expect((await nginx.get(disabled.host)).status).toBe(404);
  });
});
