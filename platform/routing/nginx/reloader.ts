import { delay } from "../../kernel/delay.ts";
import type { Logger } from "../../kernel/logger.ts";
import { RELOAD_MARK, type ConfFolder } from "./conf-folder.ts";
import { VERSION_FILE, nextVersion, parseVersion, renderVersion, type VersionPorts } from "./config-version.ts";
import { isOwnText } from "./own-text.ts";
import type { EdgeListener } from "./server-block.ts";
import { createRunningNginx, type RunningNginx } from "./running-nginx.ts";

/** Clients that keep a connection for later are not waited for. */
const LONGEST_DRAIN_MS = 300;
const DRAIN_POLL_MS = 20;

export type ReloaderOptions = {
  folder: ConfFolder;
  /** Nginx's internal port, such as `http://10.171.0.2:8081`. */
  internalUrl: string;
  ports: VersionPorts;
  door: EdgeListener;
  /** Sends SIGHUP to the master process. */
  signal: () => Promise<void>;
  /** How long a reload may take until the new configuration answers. */
  timeoutMs: number;
  /** Once it aborts, no reload is waited for any more. */
  cutOff: AbortSignal | undefined;
  logger: Logger | undefined;
};

/** Reloads of the running Nginx, one at a time. */
export type Reloader = Pick<RunningNginx, "ask" | "check" | "sees" | "counters"> & {
  /**
   * Has every answer close its connection while `work`, which reloads, is under way: Nginx closes what is
   * kept idle with the reload, and would reset whoever is just using it again (docs/adr/0007). Where the disk does
   * not let it, `work` is done all the same. It is given a way to wait until no connection is kept: for as long as it
   * says at least, in which answers under way end, and 300 ms in all at most; not at all where there are neither.
   */
  draining<T>(work: (drained: (atLeastMs: number) => Promise<void>) => Promise<T>): Promise<T>;
  /**
   * Reloads until the folder's content is the only one that answers, and returns its version; null when Nginx was
   * told and does not take it up in time. Throws when it cannot be told, and the reason of `cutOff` once that aborts.
   */
  reload(): Promise<number | null>;
  /** Whether the version's file is as the platform writes it; one that is not there is nobody's trouble. */
  isWhole(): Promise<boolean>;
  /**
   * Writes the version's file anew where somebody spoilt it. Nginx neither starts nor passes a test with such a
   * one, and there is no use in setting it aside: nothing works without. Returns whether it had to.
   */
  mend(): Promise<boolean>;
  /** Reloads that were asked of Nginx so far. */
  count(): number;
};

export function createReloader(options: ReloaderOptions): Reloader {
  const { folder, ports, door, timeoutMs, cutOff, logger } = options;
  const { ask, check, sees, counters, awaitVersion } = createRunningNginx(options.internalUrl, ports);
  let reloads = 0;
  /** Generations signalled whose predecessors were not seen to be gone. */
  const unconfirmed = new Set<number>();

  /** One reload, from the `live` version to a new one, which it returns; null when that was not taken up. */
  async function reloadFrom(live: number | null): Promise<number | null> {
    const former = parseVersion(await folder.read(VERSION_FILE));
    const version = nextVersion(former, live, Date.now(), ports);
    // A full disk must not keep a route from being removed.
    await folder.rewrite(VERSION_FILE, renderVersion(version, door, ports));
    const old = new Set(live === null ? unconfirmed : [...unconfirmed, live]);
    unconfirmed.add(version);
    const started = performance.now();
    await options.signal();
    reloads++;
    const signalled = performance.now();
    if (!(await awaitVersion(version, old, timeoutMs, cutOff))) return null;
    unconfirmed.clear();
    const [signal_ms, reload_ms] = [signalled - started, performance.now() - signalled].map(Math.round);
    logger?.debug({ version, signal_ms, reload_ms }, "nginx reloaded");
    return version;
  }

  async function isWhole(): Promise<boolean> {
    const text = await folder.read(VERSION_FILE);
    return text === null || isOwnText(VERSION_FILE, text, door, ports);
  }

  async function mend(): Promise<boolean> {
    if (await isWhole()) return false;
    const said = parseVersion(await folder.read(VERSION_FILE));
    const answer = await ask();
    const version = said ?? (answer.answers ? answer.version : null) ?? Date.now();
    await folder.rewrite(VERSION_FILE, renderVersion(version, door, ports));
    logger?.warn({ file: VERSION_FILE, version }, "somebody spoilt a file of the platform's; written anew");
    return true;
  }

  async function drained(began: number, atLeastMs: number): Promise<void> {
    const now = await counters();
    if (now !== null && now.reading + now.answering + now.kept === 0) return;
    await delay(Math.max(0, began + atLeastMs - performance.now()), cutOff);
    const isOver = () => cutOff?.aborted === true || performance.now() - began >= LONGEST_DRAIN_MS;
    while (!isOver() && ((await counters())?.kept ?? 0) > 0) await delay(DRAIN_POLL_MS, cutOff);
  }

  function noteUndrained(error: unknown): void {
    logger?.warn({ err: error }, "the mark of a reload cannot be made or removed");
  }

  return {
    ask,
    check,
    sees,
    counters,
    isWhole,
    mend,

    async draining(work) {
      await folder.touch(RELOAD_MARK).catch(noteUndrained);
      const began = performance.now();
      try {
        return await work((atLeastMs) => drained(began, atLeastMs));
      } finally {
        await folder.remove(RELOAD_MARK).catch(noteUndrained);
      }
    },

    async reload() {
      const before = await ask();
      if (!before.answers) throw new Error(`it does not answer: ${before.reason}`);
      // Without a version nobody could tell when its workers are gone: give it one first.
      const live = before.version ?? (await reloadFrom(null));
      return live === null ? null : reloadFrom(live);
    },

    count: () => reloads,
  };
}
