import { parseSubnet } from "../../domain/network/subnets.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { Route, Router } from "../router.ts";
import { createBatchApplier } from "./apply-batch.ts";
import { createChangeQueue } from "./change-queue.ts";
import { fileOf, flagOf, idOf, openConfFolder } from "./conf-folder.ts";
import { createConfigQuarantine } from "./config-quarantine.ts";
import { DEFAULT_VERSION_PORTS, VERSION_FILE, type VersionPorts } from "./config-version.ts";
import { createLoadedConfig } from "./loaded-config.ts";
import type { NginxControl } from "./nginx-control.ts";
import { createReloader } from "./reloader.ts";
import { createRunningNginx } from "./running-nginx.ts";
import { checkAddress, checkSubnet, parseServerBlock, renderServerBlock, type EdgeListener } from "./server-block.ts";

export type NginxRouterOptions = {
  /** The folder that nginx.conf includes, as seen from here; made where it is missing. */
  confDir: string;
  /** Nginx's internal port, such as `http://10.171.0.2:8081`, at the one address that it listens on. */
  internalUrl: string;
  /** CIDR ranges of environments, which must not come in through the edge proxy. */
  deniedSubnets: readonly string[];
  control: NginxControl;
  logger?: Logger;
  /** How long a reload may take, once Nginx is signalled, until the new configuration answers; 2 s by default. */
  reloadTimeoutMs?: number;
  /** How long Nginx may take to answer once its container was started; 10 s by default. */
  restartTimeoutMs?: number;
  /** A file was moved to `<confDir>/rejected/`: a foreign one, or one that Nginx refuses. */
  onRejected?: (file: string, reason: string) => void;
  /** Nginx's container was restarted. */
  onRestarted?: (reason: string) => void;
  /** Ports inside Nginx's container that tell config versions apart. */
  versionPorts?: VersionPorts;
  /** Once it aborts, Nginx is not waited for any more and nothing is begun: callers are told `shutting_down`. */
  shutdownDeadline?: AbortSignal;
};

export type NginxRouter = Router & {
  /** Reloads that were asked of Nginx so far. */
  stats(): { reloads: number };
};

/** Removing a file that is never there changes nothing, and has the folder loaded where it is not yet. */
const ABSENT_FILE = "01-absent.conf";

/**
 * The router on a real Nginx: one file per environment, and beside it an empty one, the enabled flag, which Nginx looks
 * for with every request, so that enabling and disabling take no reload. A single worker takes all pending changes,
 * writes them, reloads once and waits until the new configuration is the only one that answers; changes that arrive
 * meanwhile are the next batch. So no caller waits for more than two reloads, and there is never more than one under way.
 */
export function createNginxRouter(options: NginxRouterOptions): NginxRouter {
  const { confDir, internalUrl, deniedSubnets, control, logger, onRejected, onRestarted, shutdownDeadline } = options;
  const { reloadTimeoutMs = 2_000, restartTimeoutMs = 10_000, versionPorts: ports = DEFAULT_VERSION_PORTS } = options;
  for (const subnet of deniedSubnets) parseSubnet(checkSubnet(subnet));
  const listener: EdgeListener = { address: checkAddress(new URL(internalUrl).hostname), denied: deniedSubnets };
  const folder = openConfFolder(confDir);
  const nginx = createRunningNginx(internalUrl, ports);
  const loaded = createLoadedConfig();
  const { quarantine, quarantineForeign } = createConfigQuarantine({ folder, loaded, logger, onRejected });
  const common = { folder, nginx, control, listener, shutdownDeadline };
  const reloader = createReloader({ ...common, ports, reloadTimeoutMs, restartTimeoutMs, logger, onRestarted });
  const submit = createChangeQueue(createBatchApplier({ ...common, loaded, reloader, quarantine, quarantineForeign }));

  /** Leaves nothing in the folder that keeps Nginx from starting; returns the names of the files that were foreign or spoilt. */
  async function clean(): Promise<string[]> {
    const found = await quarantineForeign();
    if (await reloader.repairVersionFile()) found.push(VERSION_FILE);
    return found;
  }

  async function readRoute(id: string): Promise<Route | null> {
    const route = parseServerBlock((await folder.read(fileOf(id))) ?? "", listener);
    return route?.id === id ? route : null;
  }

  return {
    async upsert(route) {
      await submit(fileOf(route.id), renderServerBlock(route, listener));
    },

    async enable(id) {
      if (idOf(fileOf(id)) === null) return; // no environment's id has no route
      await folder.touch(flagOf(id));
    },

    async disable(id) {
      if (idOf(fileOf(id)) !== null) await folder.remove(flagOf(id));
      return (await nginx.counters())?.answering === 0 ? "idle" : "busy";
    },

    async remove(id) {
      const file = fileOf(id);
      if (idOf(file) === null) return;
      await Promise.all([folder.remove(flagOf(id)), submit(file, null)]);
    },

    async list() {
      const ids = [...folder.fingerprints().keys()].map(idOf).filter((id) => id !== null);
      const routes = await Promise.all(ids.map(readRoute));
      const enabled = new Set(folder.enabledIds());
      return routes.filter((route) => route !== null).map((route) => ({ ...route, enabled: enabled.has(route.id) }));
    },

    async removeStrays(known) {
      // Read at this very instant, when `known` is true: a route that is put later is not a stray.
      const isStray = (id: string | null): boolean => id !== null && !known.has(id);
      const files = [...folder.fingerprints().keys()].filter((file) => isStray(idOf(file)));
      const flags = folder.enabledIds().filter(isStray);
      const cleaned = await clean();
      const strays = files.filter((file) => !cleaned.includes(file));
      await Promise.all(flags.map((id) => folder.remove(flagOf(id))));
      // Nginx may have loaded what was foreign, or not what is here.
      const isReloadDue = cleaned.length > 0 || (await reloader.describeLag()) !== null;
      if (isReloadDue) loaded.forget();
      await Promise.all([...strays, ...(isReloadDue ? [ABSENT_FILE] : [])].map((file) => submit(file, null)));
      await folder.sweep();
      return strays;
    },

    quarantineForeign: clean,

    async check() {
      const [answer, lag] = await Promise.all([nginx.check(), reloader.describeLag()]);
      if (!answer.ok || lag === null) return answer;
      return { ok: false, detail: `${lag}; within a minute it is reloaded again. Where this stays, run \`make up\`` };
    },

    stats: () => ({ reloads: reloader.count() }),
  };
}
