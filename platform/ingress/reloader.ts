import type { Logger } from "../runtime/logger.ts";
import { RELOAD_MARK, type ConfFolder } from "./conf-folder.ts";
import {
  GENERATION_FILE,
  nextGeneration,
  parseGeneration,
  renderGeneration,
  type GenerationPorts,
} from "./generation.ts";
import { createRunningNginx, type RunningNginx } from "./running-nginx.ts";

export type ReloaderOptions = {
  folder: ConfFolder;
  /** Nginx's internal port, such as `http://10.171.0.2:8081`. */
  internalUrl: string;
  ports: GenerationPorts;
  deniedSubnets: readonly string[];
  /** Sends SIGHUP to the master process. */
  signal: () => Promise<void>;
  /** How long a reload may take until the new configuration answers. */
  timeoutMs: number;
  logger: Logger | undefined;
};

/** Reloads of the running Nginx, one at a time. */
export type Reloader = Pick<RunningNginx, "ask" | "check" | "sees"> & {
  /**
   * Has every answer close its connection while `work`, which reloads, is under way: Nginx closes what is
   * kept idle with the reload, and would reset whoever is just using it again (docs/adr/0007). Where the disk does
   * not let it, `work` is done all the same.
   */
  draining<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Reloads until the folder's content is the only one that answers, and returns its generation; null when Nginx was
   * told and does not take it up in time. Throws when it cannot be told.
   */
  reload(): Promise<number | null>;
  /** Reloads that were asked of Nginx so far. */
  count(): number;
};

export function createReloader(options: ReloaderOptions): Reloader {
  const { folder, ports, deniedSubnets, timeoutMs, logger } = options;
  const { ask, check, sees, awaitGeneration } = createRunningNginx(options.internalUrl, ports);
  let reloads = 0;
  /** Generations signalled whose predecessors were not seen to be gone. */
  const unconfirmed = new Set<number>();

  /** One reload, from the `live` generation to a new one, which it returns; null when that was not taken up. */
  async function reloadFrom(live: number | null): Promise<number | null> {
    const former = parseGeneration(await folder.read(GENERATION_FILE));
    const generation = nextGeneration(former, live, Date.now(), ports);
    // A full disk must not keep a route from being removed.
    await folder.rewrite(GENERATION_FILE, renderGeneration(generation, deniedSubnets, ports));
    const old = new Set(live === null ? unconfirmed : [...unconfirmed, live]);
    unconfirmed.add(generation);
    const started = performance.now();
    await options.signal();
    reloads++;
    const signalled = performance.now();
    if (!(await awaitGeneration(generation, old, timeoutMs))) return null;
    unconfirmed.clear();
    const [signal_ms, reload_ms] = [signalled - started, performance.now() - signalled].map(Math.round);
    logger?.debug({ generation, signal_ms, reload_ms }, "nginx reloaded");
    return generation;
  }

  function noteUndrained(error: unknown): void {
    logger?.warn({ err: error }, "the mark of a reload cannot be made or removed");
  }

  return {
    ask,
    check,
    sees,

    async draining(work) {
      await folder.touch(RELOAD_MARK).catch(noteUndrained);
      try {
        return await work();
      } finally {
        await folder.remove(RELOAD_MARK).catch(noteUndrained);
      }
    },

    async reload() {
      const before = await ask();
      if (!before.answers) throw new Error(`it does not answer: ${before.reason}`);
      // Without a generation nobody could tell when its workers are gone: give it one first.
      const live = before.generation ?? (await reloadFrom(null));
      return live === null ? null : reloadFrom(live);
    },

    count: () => reloads,
  };
}
