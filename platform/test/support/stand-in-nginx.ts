import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VERSION_FILE, VERSION_HEADER, VERSION_HOST } from "../../routing/nginx/config-version.ts";
import type { NginxControl } from "../../routing/nginx/nginx-control.ts";
import { createNginxRouter, type NginxRouter, type NginxRouterOptions } from "../../routing/nginx/nginx-router.ts";

/** Answers in Nginx's place, and has files loaded and a folder mounted as Nginx does; it accepts everything. */
export type StandInNginx = {
  confDir: string;
  /** The files there were at its last reload. */
  live: Map<string, string>;
  /** Calls of its control, in order. */
  log: string[];
  /** Quarantined files and restarts, as they were reported. */
  told: string[];
  control: NginxControl;
  /** The folder that its container was given when it was started. */
  mount(folder: string): void;
  /** How many requests it has under way, and connections that clients keep. */
  carry(requests: number, connections: number): void;
  /** How often it was asked for that. */
  looks(): number;
  makeRouter(control?: Partial<NginxControl>, options?: Partial<NginxRouterOptions>): NginxRouter;
  remove(): Promise<void>;
};

export async function startStandInNginx(): Promise<StandInNginx> {
  const confDir = await mkdtemp(join(tmpdir(), "nginx-router-"));
  const live = new Map<string, string>();
  const log: string[] = [];
  const told: string[] = [];
  let mounted = confDir;
  let [writing, waiting, looks] = [0, 0, 0];

  const server = createServer((incoming, response) => {
    const version = /x-sandbox-config-version (\d+);/.exec(live.get(VERSION_FILE) ?? "")?.[1];
    if (incoming.headers.host === VERSION_HOST && version !== undefined) response.setHeader(VERSION_HEADER, version);
    if (incoming.url === "/up") looks++;
    response.end(incoming.url === "/up" ? `Reading: 0 Writing: ${writing + 1} Waiting: ${waiting} ` : "");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;

  async function load(): Promise<void> {
    const entries = await readdir(mounted, { withFileTypes: true });
    const names = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".conf")).map(({ name }) => name);
    const texts = await Promise.all(names.map((name) => readFile(join(mounted, name), "utf8")));
    live.clear();
    names.forEach((name, index) => live.set(name, texts[index] ?? ""));
  }

  const control: NginxControl = {
    async test() {
      log.push("test");
      return { ok: true, output: "" };
    },
    async reload() {
      log.push("reload");
      await load();
    },
    async restart() {
      log.push("restart");
      mounted = confDir;
      await load();
    },
  };

  return {
    confDir,
    live,
    log,
    told,
    control,
    mount: (folder) => void (mounted = folder),
    carry: (requests, connections) => void ([writing, waiting] = [requests, connections]),
    looks: () => looks,
    makeRouter: (changes = {}, options = {}) =>
      createNginxRouter({
        confDir,
        internalUrl: `http://127.0.0.1:${port}`,
        deniedSubnets: ["10.172.0.0/16"],
        control: { ...control, ...changes },
        reloadTimeoutMs: 200,
        onRejected: (file, reason) => told.push(`${file}: ${reason}`),
        onRestarted: (reason) => told.push(reason),
        // Ports without a listener: this stand-in's old workers are gone at once.
        versionPorts: { first: 2, count: 4 },
        ...options,
      }),
    async remove() {
      server.close();
      await rm(confDir, { recursive: true, force: true });
    },
  };
}
