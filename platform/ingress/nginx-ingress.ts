import { describeError, isPlatformError, PlatformError } from "../domain/errors.ts";
import { parseSubnet } from "../domain/subnets.ts";
import type { Logger } from "../runtime/logger.ts";
import { fileOf, gateOf, idOf, openConfFolder } from "./conf-folder.ts";
import { siftChanges, undoChange, type Change, type TestResult } from "./sift-changes.ts";
import { createFolderSight } from "./folder-sight.ts";
import { DEFAULT_GENERATION_PORTS, type GenerationPorts } from "./generation.ts";
import type { Ingress } from "./ingress.ts";
import { createLoadedFiles, isForeign } from "./loaded-files.ts";
import { createReloader } from "./reloader.ts";
import { checkSubnet, renderServerBlock } from "./server-block.ts";

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

export type NginxIngressOptions = {
  /** The folder that nginx.conf includes, as seen from here; made where it is missing. */
  confDir: string;
  /** Nginx's internal port, such as `http://10.171.0.2:8081`. */
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
  /** Ports inside Nginx's container that tell generations apart. */
  generationPorts?: GenerationPorts;
};

export type NginxIngress = Ingress & {
  /** Reloads that were asked of Nginx so far. */
  stats(): { reloads: number };
};

/** Removing what is never there changes nothing, and has what is there tested and loaded where it is not yet. */
const ABSENT_FILE = "01-absent.conf";

const NOT_TAKEN_UP =
  "Nginx does not take up a configuration with this file in it (does it listen on an address or a port of the platform's?)";

/** A change that somebody waits for. */
type Pending = Change & { resolve: () => void; reject: (error: unknown) => void };

/**
 * The front door on a real Nginx: one file per environment, and beside it an empty one, the gate, while its
 * route is open. Gates are nobody's turn to wait for: Nginx looks for them with every request. A single worker takes whatever changes
 * are pending, writes them, has them tested, reloads once and waits until the new configuration is
 * the only one that answers; changes that arrive meanwhile are the next turn's. So nobody waits for
 * more than two reloads, and there is never more than one under way.
 */
export function createNginxIngress(options: NginxIngressOptions): NginxIngress {
  const {
    deniedSubnets,
    control,
    logger,
    reloadTimeoutMs: timeoutMs = 10_000,
    generationPorts: ports = DEFAULT_GENERATION_PORTS,
  } = options;
  for (const subnet of deniedSubnets) parseSubnet(checkSubnet(subnet));
  const folder = openConfFolder(options.confDir);
  const { internalUrl } = options;
  const signal = () => control.reload();
  const nginx = createReloader({ folder, internalUrl, ports, deniedSubnets, signal, timeoutMs, logger });
  const sight = createFolderSight({
    folder,
    path: options.confDir,
    nginx,
    restart: () => control.restart(),
    timeoutMs,
    logger,
    onRestarted: options.onRestarted,
  });
  const loaded = createLoadedFiles(folder);

  let queue: Pending[] = [];
  let working = false;
  let rejections = 0;

  function submit(file: string, text: string | null): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    queue.push({ file, text, previous: null, resolve, reject });
    if (!working) {
      working = true;
      // Later in this turn of the event loop, so that changes asked for together share a reload.
      setImmediate(() => void work());
    }
    return promise;
  }

  async function work(): Promise<void> {
    while (queue.length > 0) {
      const batch = takeBatch();
      await applyBatch(batch).catch((error: unknown) => giveUp(batch, error));
    }
    working = false;
  }

  /** Everything pending, but one change a file: a later one of the same file waits its turn. */
  function takeBatch(): Pending[] {
    const first = new Map<string, Pending>();
    for (const change of queue) if (!first.has(change.file)) first.set(change.file, change);
    const batch = [...first.values()];
    queue = queue.filter((change) => !batch.includes(change));
    return batch;
  }

  async function applyBatch(batch: Pending[]): Promise<void> {
    const present = new Set(await folder.names());
    await Promise.all(batch.map(async (change) => (change.previous = await folder.read(change.file))));
    if (batch.every((change) => loaded.holds(change, present)) && (await isStillLoaded())) return settle(batch);

    await nginx.draining(() => makeLive(batch));
  }

  async function makeLive(batch: Pending[]): Promise<void> {
    const written = await writeAll(batch);
    const marks = folder.marksNow();
    const isTested = written.every(({ text }) => text === null) && loaded.isTested(marks);
    let accepted = isTested ? written : await testAll(written);
    if (accepted.length === 0) return;
    try {
      // What was tested was the former folder, then.
      if (await sight.restore()) accepted = await testAll(accepted);
      settle((await load(accepted, marks)) ? accepted : await loadAgain(accepted, marks));
    } catch (error) {
      await withdraw(accepted, error);
    }
  }

  async function isStillLoaded(): Promise<boolean> {
    const answer = await nginx.ask();
    return answer.answers && answer.generation === loaded.generation();
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
        test: () => control.test(),
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

  async function setAside(names: string[], reason: string): Promise<void> {
    for (const name of names) {
      await folder.setAside(name, Date.now());
      noteRejected(name, reason);
    }
  }

  function noteRejected(file: string, reason: string): void {
    rejections++;
    logger?.warn({ file, reason }, "nginx refuses a file; set aside");
    options.onRejected?.(file, reason);
  }

  /** Reloads, and remembers what is loaded then; false when Nginx does not take it up in time. */
  async function load(changes: Pending[], marks: Map<string, string | null>): Promise<boolean> {
    const generation = await nginx.reload();
    if (generation !== null) loaded.note(generation, marks, changes);
    return generation !== null;
  }

  /**
   * Nginx was told, and goes on with what it had: what was not tested may be broken, a file may pass the test and yet
   * take a port that Nginx needs, the folder may have been replaced. Whatever that can be is put right, and then Nginx
   * is told once more. Returns those that are live; throws when there is nothing to put right, or it is of no use.
   */
  async function loadAgain(changes: Pending[], marks: Map<string, string | null>): Promise<Pending[]> {
    const before = rejections;
    const accepted = await testAll(changes);
    if (accepted.length === 0) return [];
    if (rejections === before) await setAside(await loaded.suspects(accepted), NOT_TAKEN_UP);
    const isOtherwise = (await sight.restore()) || rejections > before;
    if (isOtherwise && (await load(accepted, marks))) return accepted;
    throw new Error(`it did not take up the configuration within ${timeoutMs} ms; see its error log`);
  }

  /**
   * Nginx could not be told: what was put is undone, what was removed stays removed. Where Nginx does
   * not answer at all a removal is done, since it reads the files when it starts.
   */
  async function withdraw(changes: Pending[], cause: unknown): Promise<void> {
    loaded.forget();
    await Promise.all(changes.map((change) => undoChange(change, folder)));
    const { answers } = await nginx.ask();
    for (const change of changes) {
      if (change.text === null && !answers) change.resolve();
      else change.reject(isTold(cause) ? cause : unavailable(change, cause));
    }
  }

  /** Something failed that nothing above expects, such as a folder that cannot be read. */
  async function giveUp(batch: Pending[], error: unknown): Promise<void> {
    loaded.forget();
    await Promise.allSettled(batch.map((change) => undoChange(change, folder)));
    for (const change of batch) change.reject(error);
  }

  return {
    async put(route) {
      await submit(fileOf(route.id), renderServerBlock(route, deniedSubnets));
    },

    async open(id) {
      if (idOf(fileOf(id)) === null) return; // no environment's id has no route
      await folder.touch(gateOf(id));
    },

    async remove(id) {
      const file = fileOf(id);
      if (idOf(file) === null) return;
      await Promise.all([folder.remove(gateOf(id)), submit(file, null)]);
    },

    async list() {
      const ids = await folder.ids();
      const isOurs = await Promise.all(ids.map(loaded.isAsPut));
      const gates = new Set(folder.gatesNow());
      return ids.filter((_, index) => isOurs[index]).map((id) => ({ id, open: gates.has(id) }));
    },

    async removeStrays(known) {
      // Read at this very instant, when `known` is true: a route put later is not a stray.
      const marks = folder.marksNow();
      const strays = [...marks.keys()].filter((name) => idOf(name) !== null && !known.has(idOf(name) ?? ""));
      const gates = folder.gatesNow().filter((id) => !known.has(id));
      // Somebody else's file is theirs to keep, unless Nginx refuses it: then nobody could be routed any more.
      const isNew = [...marks].some(([name, mark]) => isForeign(name) && !loaded.has(name, mark));
      // Nor could they, or be closed, where Nginx has another folder.
      const isOwed = isNew || (await sight.trouble()) !== null;
      if (isOwed) loaded.forget();
      await Promise.all(gates.map((id) => folder.remove(gateOf(id))));
      await Promise.all([...strays, ...(isOwed ? [ABSENT_FILE] : [])].map((name) => submit(name, null)));
      await folder.sweep();
      return strays;
    },

    async rescue() {
      const found = await loaded.suspects([]);
      await setAside(found, "Nginx does not start, and this file is none of the platform's");
      return found;
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

/** A failure whose own words say what to do: of the disk, or of the engine that Nginx is told things through. */
function isTold(cause: unknown): boolean {
  return isPlatformError(cause, "storage_failed") || isPlatformError(cause, "engine_unavailable");
}

function unavailable({ file, text }: Change, cause: unknown): PlatformError {
  const what = text === null ? "unroute" : "route";
  const detail = `Cannot ${what} "${file}": Nginx cannot be reloaded: ${describeError(cause)}. If it does not run, start it with \`make up\`; then try again.`;
  return new PlatformError("ingress_unavailable", detail, { cause });
}
