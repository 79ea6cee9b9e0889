import { parseSubnet } from "../../domain/network/subnets.ts";
import type { Logger } from "../../kernel/logger.ts";
import { fileOf, flagOf, idOf, openConfFolder } from "./conf-folder.ts";
import { createChangeQueue, type Pending } from "./change-queue.ts";
import { createCustody, type Custody } from "./custody.ts";
import { siftChanges, undoChange, type TestResult } from "./sift-changes.ts";
import { createFolderSight } from "./folder-sight.ts";
import { DEFAULT_VERSION_PORTS, VERSION_FILE, type VersionPorts } from "./config-version.ts";
import type { Route, Router } from "../router.ts";
import { createLastResort } from "./last-resort.ts";
import { createLoadedFiles, hasForeignGone, isForeign } from "./loaded-config.ts";
import { isOwnText } from "./own-text.ts";
import { refusalOf, shuttingDown } from "./routing-errors.ts";
import { createReloader } from "./reloader.ts";
import { checkAddress, checkSubnet, parseServerBlock, renderServerBlock, type EdgeListener } from "./server-block.ts";

/**
 * How Nginx is told things, handed in since the engine is another room. Both are bounded in time by
 * whoever makes them, and reject when Nginx or the engine cannot be reached.
 */
export type NginxControl = {
  /** Runs `nginx -t`. */
  test(): Promise<TestResult>;
  /** Sends SIGHUP to the master process. */
  reload(): Promise<void>;
  /** Stops and starts its container, which is then given the folder anew. Cuts every connection. */
  restart(): Promise<void>;
};

export type NginxRouterOptions = {
  /** The folder that nginx.conf includes, as seen from here; made where it is missing. */
  confDir: string;
  /** Nginx's internal port, such as `http://10.171.0.2:8081`, at the one address that it listens on. */
  internalUrl: string;
  /** CIDR ranges of environments, which must not come in through the front door. */
  deniedSubnets: readonly string[];
  control: NginxControl;
  logger?: Logger;
  /** How long a reload may take until the new configuration answers; 10 s by default. */
  reloadTimeoutMs?: number;
  /** A file that Nginx refuses was moved to `<confDir>/rejected/`. */
  onRejected?: (file: string, reason: string) => void;
  /** Nginx's container was restarted. */
  onRestarted?: (reason: string) => void;
  /** Ports inside Nginx's container that tell versions apart. */
  versionPorts?: VersionPorts;
  /** Once it aborts nobody waits for Nginx any more, and nothing is begun: who asks for a change is told `shutting_down`. */
  cutOff?: AbortSignal;
};

export type NginxRouter = Router & {
  /** Reloads that were asked of Nginx so far. */
  stats(): { reloads: number };
};

/** Removing what is never there changes nothing, and has what is there tested and loaded where it is not yet. */
const ABSENT_FILE = "01-absent.conf";

/**
 * How long answers that were under way at the mark have to end, before Nginx's own 100 ms after the signal. Where
 * something is put its container takes longer beside it.
 */
const DRAIN_MS = { put: 200, removal: 120 };

const NOT_TAKEN_UP =
  "Nginx does not take up a configuration with this file in it (does it listen on an address or a port of the platform's?)";

/**
 * The front door on a real Nginx: one file per environment, and beside it an empty one, the gate, while its
 * route is open. Gates are nobody's turn to wait for: Nginx looks for them with every request. A single worker takes whatever changes
 * are pending, writes them, has them tested, reloads once and waits until the new configuration is
 * the only one that answers; changes that arrive meanwhile are the next turn's. So nobody waits for
 * more than two reloads, and there is never more than one under way.
 */
export function createNginxRouter(options: NginxRouterOptions): NginxRouter {
  const {
    deniedSubnets,
    control,
    logger,
    reloadTimeoutMs: timeoutMs = 10_000,
    versionPorts: ports = DEFAULT_VERSION_PORTS,
    cutOff,
  } = options;
  for (const subnet of deniedSubnets) parseSubnet(checkSubnet(subnet));
  const door: EdgeListener = { address: checkAddress(new URL(options.internalUrl).hostname), denied: deniedSubnets };
  const folder = openConfFolder(options.confDir);
  const { internalUrl } = options;
  const signal = () => control.reload();
  const nginx = createReloader({ folder, internalUrl, ports, door, signal, timeoutMs, cutOff, logger });
  const restart = () => control.restart();
  const restarts = { nginx, restart, timeoutMs, cutOff, logger, onRestarted: options.onRestarted };
  const sight = createFolderSight({ folder, path: options.confDir, ...restarts });
  const lastResort = createLastResort(restarts);
  const loaded = createLoadedFiles(folder, (file, text) => isOwnText(file, text, door, ports));

  const submit = createChangeQueue({ apply: applyBatch, giveUp });
  let rejections = 0;
  /** Files that were set aside in the present turn. */
  let putAside = new Set<string>();

  async function applyBatch(batch: Pending[]): Promise<void> {
    if (cutOff?.aborted === true) return batch.forEach((change) => change.reject(shuttingDown(change)));
    const present = new Set(await folder.names());
    // What somebody else wrote there is not put back: Nginx may not even start with it.
    await Promise.all(batch.map(async (change) => (change.previous = await loaded.ownText(change.file))));
    if (batch.every((change) => loaded.holds(change, present)) && (await isStillLoaded())) return settle(batch);

    await nginx.draining((drained) => makeLive(batch, drained));
  }

  async function makeLive(batch: Pending[], drained: (atLeastMs: number) => Promise<void>): Promise<void> {
    putAside = new Set();
    const written = await writeAll(batch);
    const marks = folder.marksNow();
    if (loaded.hasLost(marks)) lastResort.suspect();
    const isTested = written.every(({ text }) => text === null) && loaded.isTested(marks);
    let accepted = isTested ? written : await testAll(written);
    if (accepted.length === 0) return;
    try {
      // What was tested was the former folder, then.
      if (await sight.restore()) accepted = await testAll(accepted);
      await drained(isTested ? DRAIN_MS.removal : DRAIN_MS.put);
      settle((await load(accepted, marks)) ? accepted : await loadAgain(accepted, marks));
    } catch (error) {
      await withdraw(accepted, error);
    }
  }

  async function isStillLoaded(): Promise<boolean> {
    const answer = await nginx.ask();
    return answer.answers && answer.version === loaded.version();
  }

  /** Those that could be written; whoever's file could not is told so. */
  async function writeAll(batch: Pending[]): Promise<Pending[]> {
    const results = await Promise.allSettled(
      batch.map(({ file, text }) => (text === null ? folder.remove(file) : folder.write(file, text))),
    );
    return batch.filter((change, index) => {
      const result = results[index];
      if (result?.status === "rejected") change.reject(result.reason);
      return result?.status === "fulfilled";
    });
  }

  /** Those that Nginx accepts; whoever's it refuses is told so. */
  async function testAll(changes: Pending[]): Promise<Pending[]> {
    try {
      const { accepted, refused } = await siftChanges(changes, {
        folder,
        test: async () => {
          await nginx.mend();
          return control.test();
        },
        now: Date.now,
        onRejected: noteRejected,
        suspects: () => loaded.suspects(changes),
      });
      for (const { change, error } of refused) change.reject(error);
      return accepted;
    } catch (error) {
      await withdraw(changes, error);
      return [];
    }
  }

  /** Holds what did not come from here, and is in none of `changes`. */
  async function takeSuspects(custody: Custody, changes: Pending[], reason: string): Promise<string[]> {
    const suspects = await loaded.suspects(changes);
    for (const name of suspects) await custody.take(name, reason);
    return suspects;
  }

  function noteRejected(file: string, reason: string): void {
    rejections++;
    putAside.add(file);
    logger?.warn({ file, reason }, "nginx refuses a file; set aside");
    options.onRejected?.(file, reason);
  }

  /**
   * Reloads, and remembers what is loaded then; false when Nginx does not take it up in time. That it does is what
   * proves those in `custody` guilty.
   */
  async function load(changes: Pending[], marks: Map<string, string | null>, custody?: Custody): Promise<boolean> {
    cutOff?.throwIfAborted();
    const version = await nginx.reload();
    if (version === null) return false;
    custody?.convict();
    // What was set aside is not taken for a file that somebody has removed since.
    loaded.note(version, new Map([...marks].filter(([name]) => !putAside.has(name))), changes);
    lastResort.noteTaken();
    return true;
  }

  /**
   * Nginx was told, and goes on with what it had: what was not tested may be broken, a file may pass the test and yet
   * take a port that Nginx needs, the folder may have been replaced. Whatever that can be is put right, and then Nginx
   * is told once more, and at last restarted. Returns those that are live; throws when there is nothing to put right, or
   * it is of no use: then files of somebody else's are back.
   */
  async function loadAgain(changes: Pending[], marks: Map<string, string | null>): Promise<Pending[]> {
    const before = rejections;
    const accepted = await testAll(changes);
    if (accepted.length === 0) return [];
    const custody = createCustody({ folder, now: Date.now, onRejected: noteRejected });
    try {
      if (rejections === before) await takeSuspects(custody, accepted, NOT_TAKEN_UP);
      const isRid = rejections > before || custody.isHolding();
      const isOtherwise = (await sight.restore()) || isRid;
      if (isOtherwise && (await load(accepted, marks, custody))) return accepted;
      if (isRid || hasForeignGone(marks, folder.marksNow())) lastResort.suspect();
      if ((await lastResort.restart()) && (await load(accepted, marks, custody))) return accepted;
      throw new Error(`it did not take up the configuration within ${timeoutMs} ms; see its error log`);
    } finally {
      await custody.release();
    }
  }

  /**
   * Nginx could not be told, or not be waited for: what was put is undone, what was removed stays removed. Where Nginx does
   * not answer at all a removal is done, since it reads the files when it starts.
   */
  async function withdraw(changes: Pending[], cause: unknown): Promise<void> {
    loaded.forget();
    await Promise.all(changes.map((change) => undoChange(change, folder)));
    const { answers } = await nginx.ask();
    for (const change of changes) {
      if (change.text === null && !answers) change.resolve();
      else change.reject(refusalOf(change, cause, cutOff?.aborted === true));
    }
  }

  /** Something failed that nothing above expects, such as a folder that cannot be read. */
  async function giveUp(batch: Pending[], error: unknown): Promise<void> {
    loaded.forget();
    await Promise.allSettled(batch.map((change) => undoChange(change, folder)));
    for (const change of batch) change.reject(error);
  }

  /** The route that the platform wrote for an environment; null where its file is gone or holds something else. */
  async function readRoute(id: string): Promise<Route | null> {
    if (!(await loaded.isAsPut(id))) return null;
    const route = parseServerBlock((await folder.read(fileOf(id))) ?? "");
    return route?.id === id ? route : null;
  }

  return {
    async upsert(route) {
      await submit(fileOf(route.id), renderServerBlock(route, door));
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
      const ids = await folder.ids();
      const routes = await Promise.all(ids.map(readRoute));
      const gates = new Set(folder.enabledIds());
      return routes.filter((route) => route !== null).map((route) => ({ ...route, enabled: gates.has(route.id) }));
    },

    async removeStrays(known) {
      // Read at this very instant, when `known` is true: a route put later is not a stray.
      const marks = folder.marksNow();
      const strays = [...marks.keys()].filter((name) => idOf(name) !== null && !known.has(idOf(name) ?? ""));
      const gates = folder.enabledIds().filter((id) => !known.has(id));
      // Somebody else's file is theirs to keep, unless Nginx refuses it: then nobody could be routed any more.
      const isNew = [...marks].some(([name, mark]) => isForeign(name) && !loaded.has(name, mark));
      // Nor could they, or be closed, where Nginx has another folder, or will not start with what is in it.
      const isOwed = isNew || loaded.hasLost(marks) || !(await nginx.isWhole()) || (await sight.trouble()) !== null;
      if (loaded.hasLost(marks)) lastResort.suspect();
      if (isOwed) loaded.forget();
      await Promise.all(gates.map((id) => folder.remove(flagOf(id))));
      await Promise.all([...strays, ...(isOwed ? [ABSENT_FILE] : [])].map((name) => submit(name, null)));
      await folder.sweep();
      return strays;
    },

    async rescue(helps) {
      const custody = createCustody({ folder, now: Date.now, onRejected: noteRejected });
      try {
        const found = await takeSuspects(custody, [], "Nginx does not start, and this file is none of the platform's");
        if (await nginx.mend()) found.push(VERSION_FILE);
        if (found.length === 0 || !(await helps())) return [];
        custody.convict();
        return found;
      } finally {
        await custody.release();
      }
    },

    async check() {
      const [answer, trouble] = await Promise.all([nginx.check(), sight.trouble()]);
      return answer.ok && trouble !== null ? { ok: false, detail: trouble } : answer;
    },

    stats: () => ({ reloads: nginx.count() }),
  };
}

function settle(changes: Pending[]): void {
  for (const change of changes) change.resolve();
}
