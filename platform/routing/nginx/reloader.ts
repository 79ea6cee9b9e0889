import { delay } from "../../kernel/delay.ts";
import type { Logger } from "../../kernel/logger.ts";
import { RELOAD_MARK, type ConfFolder } from "./conf-folder.ts";
import { nextVersion, parseVersion, renderVersion, VERSION_FILE, type VersionPorts } from "./config-version.ts";
import type { NginxControl } from "./nginx-control.ts";
import type { RunningNginx } from "./running-nginx.ts";
import type { EdgeListener } from "./server-block.ts";

/** Clients that keep a connection for later are not waited for. */
const LONGEST_DRAIN_MS = 300;
const DRAIN_POLL_MS = 20;

/** Told with a restart. */
const NOT_TAKEN_UP =
  "Nginx accepted its configuration and did not take it up: conf.d was removed or replaced, or Nginx holds an address of a file that is gone";

export type ReloaderOptions = {
  folder: ConfFolder;
  nginx: RunningNginx;
  control: Pick<NginxControl, "reload" | "restart">;
  ports: VersionPorts;
  listener: EdgeListener;
  /** How long a reload may take, once Nginx is signalled, until the new config version is the only one that answers. */
  reloadTimeoutMs: number;
  /** How long Nginx may take to answer once its container was started. */
  restartTimeoutMs: number;
  /** Once it aborts, no reload is waited for any more. */
  shutdownDeadline: AbortSignal | undefined;
  logger: Logger | undefined;
  /** Nginx's container was restarted. */
  onRestarted: ((reason: string) => void) | undefined;
};

/** Reloads of the running Nginx, one at a time. */
export type Reloader = {
  /**
   * Has every answer close its connection while `work`, which reloads, is under way: Nginx closes idle connections with
   * the reload, and would reset a client that is just using one again (docs/adr/0007). Where the disk is too full for
   * the reload mark, `work` is done all the same. `drained` waits until no connection is kept: as long as it is told at
   * least, in which answers under way end, and 300 ms in all at most; not at all where there are neither.
   */
  draining<T>(work: (drained: (atLeastMs: number) => Promise<void>) => Promise<T>): Promise<T>;
  /**
   * Reloads until the folder's content is the only one that answers, and returns its config version; null when that did
   * not come in time. Throws when Nginx cannot be signalled, and the reason of `shutdownDeadline` once that aborts.
   */
  reload(): Promise<number | null>;
  /**
   * Restarts Nginx's container and returns the config version that it serves then; null when that is not the folder's.
   * Throws as `reload` does.
   */
  restart(): Promise<number | null>;
  /** Why Nginx, which answers, is behind the folder, where no reload is under way; null where it is not. */
  describeLag(): Promise<string | null>;
  /** Writes the config version's file anew where it was spoilt: Nginx does not start with it. Returns whether it was. */
  repairVersionFile(): Promise<boolean>;
  /** Reloads that were asked of Nginx so far. */
  count(): number;
};

export function createReloader(options: ReloaderOptions): Reloader {
  const { folder, nginx, control, ports, listener, reloadTimeoutMs, shutdownDeadline, logger } = options;
  let reloads = 0;
  let drains = 0;
  let isDraining = false;
  /** Config versions that were signalled and did not come in time: their workers may yet appear. */
  const unconfirmed = new Set<number>();

  async function writtenVersion(): Promise<number | null> {
    return parseVersion(await folder.read(VERSION_FILE), listener, ports);
  }

  async function writeVersion(live: number | null): Promise<number> {
    const version = nextVersion(await writtenVersion(), live, Date.now(), ports);
    // A full disk must not keep a route from being removed.
    await folder.rewrite(VERSION_FILE, renderVersion(version, listener, ports));
    return version;
  }

  /** One reload, from the `live` config version to a new one, which it returns; null when that did not come in time. */
  async function reloadFrom(live: number | null): Promise<number | null> {
    const version = await writeVersion(live);
    const old = new Set(live === null ? unconfirmed : [...unconfirmed, live]);
    unconfirmed.add(version);
    const started = performance.now();
    await control.reload();
    reloads++;
    const signalled = performance.now();
    if (!(await nginx.awaitVersion(version, old, reloadTimeoutMs, shutdownDeadline))) return null;
    unconfirmed.clear();
    const [signal_ms, reload_ms] = [signalled - started, performance.now() - signalled].map(Math.round);
    logger?.debug({ version, signal_ms, reload_ms }, "nginx reloaded");
    return version;
  }

  async function drained(began: number, atLeastMs: number): Promise<void> {
    const now = await nginx.counters();
    if (now !== null && now.reading + now.answering + now.kept === 0) return;
    await delay(Math.max(0, began + atLeastMs - performance.now()), shutdownDeadline);
    const isOver = () => shutdownDeadline?.aborted === true || performance.now() - began >= LONGEST_DRAIN_MS;
    while (!isOver() && ((await nginx.counters())?.kept ?? 0) > 0) await delay(DRAIN_POLL_MS, shutdownDeadline);
  }

  function noteUndrained(error: unknown): void {
    logger?.warn({ err: error }, "cannot make or remove the reload mark");
  }

  return {
    async draining(work) {
      drains++;
      isDraining = true;
      await folder.touch(RELOAD_MARK).catch(noteUndrained);
      const began = performance.now();
      try {
        return await work((atLeastMs) => drained(began, atLeastMs));
      } finally {
        await folder.remove(RELOAD_MARK).catch(noteUndrained);
        isDraining = false;
      }
    },

    async reload() {
      const before = await nginx.ask();
      if (!before.answers) throw new Error(`it does not answer: ${before.reason}`);
      // The end of workers without a config version could not be seen: give them one first.
      const live = before.version ?? (await reloadFrom(null));
      return live === null ? null : reloadFrom(live);
    },

    async restart() {
      await control.restart();
      logger?.warn({ reason: NOT_TAKEN_UP }, "restarted nginx");
      options.onRestarted?.(NOT_TAKEN_UP);
      const version = await writtenVersion();
      if (version === null || !(await nginx.awaitVersion(version, [], options.restartTimeoutMs, shutdownDeadline)))
        return null;
      unconfirmed.clear();
      return version;
    },

    async describeLag() {
      const before = drains;
      const written = await writtenVersion();
      const answer = await nginx.ask();
      if (isDraining || drains !== before || !answer.answers || answer.version === written) return null;
      return `Nginx serves config version ${answer.version ?? "none"}, and conf.d holds ${written ?? "none"}`;
    },

    async repairVersionFile() {
      if ((await folder.read(VERSION_FILE)) === null || (await writtenVersion()) !== null) return false;
      const version = await writeVersion(null);
      logger?.warn({ file: VERSION_FILE, version }, "the config version's file was spoilt; written anew");
      return true;
    },

    count: () => reloads,
  };
}
