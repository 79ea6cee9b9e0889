import { readdir } from "node:fs/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startStandInNginx, type StandInNginx } from "../../test/support/stand-in-nginx.ts";
import type { Route } from "../router.ts";
import type { NginxControl } from "./nginx-control.ts";
import type { NginxRouter } from "./nginx-router.ts";

/** Longer than any test may take: a test that waits for it fails. */
const NEVER_MS = 600_000;
const ROUTE: Route = { id: "env-b", host: "env-b.localhost", address: "10.172.0.3", port: 3000 };

let nginx: StandInNginx;
let deadline: AbortController;

beforeEach(async () => {
  nginx = await startStandInNginx();
  deadline = new AbortController();
  await nginx.makeRouter().upsert({ ...ROUTE, id: "env-a", host: "env-a.localhost" });
});
afterEach(() => nginx.remove());

function makeRouter(control: Partial<NginxControl>): NginxRouter {
  return nginx.makeRouter(control, { reloadTimeoutMs: NEVER_MS, shutdownDeadline: deadline.signal });
}

async function files(): Promise<string[]> {
  return (await readdir(nginx.confDir)).filter((name) => name.startsWith("env-"));
}

const shuttingDown = (file: string) => ({ code: "shutting_down", message: expect.stringContaining(`"${file}"`) });

it("a change whose reload does not come is rejected once the deadline has passed, and so are pending ones", async () => {
  let pending = Promise.resolve();
  const unreachable = makeRouter({
    async reload() {
      pending = unreachable.remove("env-a");
      pending.catch(() => undefined);
      deadline.abort();
    },
  });
  await expect(unreachable.upsert(ROUTE)).rejects.toMatchObject(shuttingDown("env-b.conf"));
  await expect(pending).rejects.toMatchObject(shuttingDown("env-a.conf"));
  expect(await files()).toEqual(["env-a.conf"]);
});

it("a removal whose reload does not come is rejected, its file gone, and finished by the next platform", async () => {
  const unreachable = makeRouter({ reload: async () => deadline.abort() });
  await expect(unreachable.remove("env-a")).rejects.toMatchObject(shuttingDown("env-a.conf"));
  expect(await files()).toEqual([]);
  await nginx.makeRouter().remove("env-a");
  expect(nginx.live.has("env-a.conf")).toBe(false);
});

it("Nginx is neither signalled nor restarted once the deadline has passed during its test", async () => {
  const calls: string[] = [];
  const late = nginx.makeRouter(
    {
      test: async () => (deadline.abort(), { ok: true, output: "" }),
      reload: async () => void calls.push("reload"),
      restart: async () => void calls.push("restart"),
    },
    { shutdownDeadline: deadline.signal },
  );
  await expect(late.upsert(ROUTE)).rejects.toMatchObject(shuttingDown("env-b.conf"));
  await expect(late.remove("env-a")).rejects.toMatchObject(shuttingDown("env-a.conf"));
  expect(calls).toEqual(["reload"]);
});

it("an Nginx that was restarted is not waited for once the deadline has passed", async () => {
  const restarted = nginx.makeRouter(
    { reload: async () => undefined, restart: async () => deadline.abort() },
    { shutdownDeadline: deadline.signal, restartTimeoutMs: NEVER_MS },
  );
  await expect(restarted.upsert(ROUTE)).rejects.toMatchObject(shuttingDown("env-b.conf"));
});
