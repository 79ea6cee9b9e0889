import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startStandInNginx, type StandInNginx } from "../../test/support/stand-in-nginx.ts";
import type { Route } from "../router.ts";
import type { NginxControl, NginxRouter } from "./nginx-router.ts";

/** Longer than any test may take: whoever waits for it fails. */
const reloadTimeoutMs = 600_000;
const ROUTE: Route = { id: "env-b", host: "env-b.localhost", address: "10.172.0.3", port: 3000 };

let door: StandInNginx;
let cutOff: AbortController;

beforeEach(async () => {
  door = await startStandInNginx();
  cutOff = new AbortController();
  await door.makeIngress().upsert({ ...ROUTE, id: "env-a", host: "env-a.localhost" });
});
afterEach(() => door.remove());

function makeIngress(control: Partial<NginxControl>): NginxRouter {
  return door.makeIngress(control, { reloadTimeoutMs, cutOff: cutOff.signal });
}

async function files(): Promise<string[]> {
  return (await readdir(door.confDir)).filter((name) => name.startsWith("env-"));
}

const shuttingDown = (file: string) => ({ code: "shutting_down", message: expect.stringContaining(`"${file}"`) });

it("a change whose reload is not taken up is refused once the platform has no time left, and so are those that wait", async () => {
  let waiting = Promise.resolve();
  const deaf = makeIngress({
    async reload() {
      waiting = deaf.remove("env-a");
      waiting.catch(() => undefined);
      cutOff.abort();
    },
  });
  await expect(deaf.upsert(ROUTE)).rejects.toMatchObject(shuttingDown("env-b.conf"));
  await expect(waiting).rejects.toMatchObject(shuttingDown("env-a.conf"));
  expect(await files()).toEqual(["env-a.conf"]);
});

it("a removal whose reload is not taken up is refused as well, its file gone, and finished by the next platform", async () => {
  const deaf = makeIngress({ reload: async () => cutOff.abort() });
  await expect(deaf.remove("env-a")).rejects.toMatchObject(shuttingDown("env-a.conf"));
  expect(await files()).toEqual([]);
  await door.makeIngress().remove("env-a");
  expect(door.live.has("env-a.conf")).toBe(false);
});

it("Nginx is neither told nor restarted any more once the platform has no time left", async () => {
  const calls: string[] = [];
  const late = makeIngress({
    test: async () => (cutOff.abort(), { ok: true, output: "" }),
    reload: async () => void calls.push("reload"),
    restart: async () => void calls.push("restart"),
  });
  await expect(late.upsert(ROUTE)).rejects.toMatchObject(shuttingDown("env-b.conf"));
  await expect(late.remove("env-a")).rejects.toMatchObject(shuttingDown("env-a.conf"));
  expect(calls).toEqual([]);
});

it("an Nginx restarted for its folder is not waited for once the platform has no time left", async () => {
  const former = `${door.confDir}-former`;
  await rename(door.confDir, former);
  door.mount(former);
  await mkdir(door.confDir);
  await expect(makeIngress({ restart: async () => cutOff.abort() }).upsert(ROUTE)).rejects.toMatchObject(
    shuttingDown("env-b.conf"),
  );
  await rm(former, { recursive: true });
});
