import { describeError, isPlatformError, PlatformError } from "../domain/errors.ts";
import { parseSubnet } from "../domain/subnets.ts";
import type { Logger } from "../runtime/logger.ts";
import { fileOf, gateOf, idOf, openConfFolder } from "./conf-folder.ts";
import { siftChanges, undoChange, type Change, type TestResult } from "./sift-changes.ts";
import { DEFAULT_GENERATION_PORTS, GENERATION_FILE, type GenerationPorts } from "./generation.ts";
import type { Ingress } from "./ingress.ts";
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
  /** Ports inside Nginx's container that tell generations apart. */
  generationPorts?: GenerationPorts;
};

export type NginxIngress = Ingress & {
  /** Reloads that were asked of Nginx so far. */
  stats(): { reloads: number };
};

/** Removing what is never there changes nothing, and has what is there tested and loaded where it is not yet. */
const ABSENT_FILE = "01-absent.conf";

/** A change that somebody waits for. */
type Pending = Change & { resolve: () => void; reject: (error: unknown) => void };

/** What the running Nginx is known to have loaded: known only after a reload that we saw complete. */
type Loaded = { generation: number; names: Set<string>; texts: Map<string, string> };

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

  let queue: Pending[] = [];
  let working = false;
  let loaded: Loaded | null = null;

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
    if (batch.every((change) => isLoaded(change, present)) && (await isStillLoaded())) return settle(batch);

    await nginx.draining(() => makeLive(batch));
  }

  async function makeLive(batch: Pending[]): Promise<void> {
    const written = await writeAll(batch);
    const { accepted, refused } = await testAll(written);
    for (const { change, error } of refused) change.reject(error);
    if (accepted.length === 0) return;
    try {
      await load(accepted);
    } catch (error) {
      return withdraw(accepted, error);
    }
    settle(accepted);
  }

  /** Whether the folder, of which `present` are the names, and the running Nginx already hold just this. */
  function isLoaded({ file, text, previous }: Pending, present: ReadonlySet<string>): boolean {
    if (loaded === null) return false;
    if (text === null) return !present.has(file) && !loaded.names.has(file);
    return previous === text && loaded.texts.get(file) === text;
  }

  async function isStillLoaded(): Promise<boolean> {
    const answer = await nginx.ask();
    return answer.answers && answer.generation === loaded?.generation;
  }

  /** A file that somebody has written something else into does not count as the environment's. */
  async function holdsWhatWasPut(id: string): Promise<boolean> {
    const text = loaded?.texts.get(fileOf(id));
    return text === undefined || (await folder.read(fileOf(id))) === text;
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

  async function testAll(changes: Pending[]): ReturnType<typeof siftChanges<Pending>> {
    try {
      return await siftChanges(changes, {
        folder,
        test: () => control.test(),
        now: Date.now,
        onRejected: noteRejected,
      });
    } catch (error) {
      await withdraw(changes, error);
      return { accepted: [], refused: [] };
    }
  }

  function noteRejected(file: string, reason: string): void {
    logger?.warn({ file, reason }, "nginx refuses a file; set aside");
    options.onRejected?.(file, reason);
  }

  /** Reloads, and remembers what is loaded then. */
  async function load(changes: Pending[]): Promise<void> {
    const generation = await nginx.reload();
    const names = new Set(await folder.names());
    const texts = new Map([...(loaded?.texts ?? [])].filter(([file]) => names.has(file)));
    for (const { file, text } of changes) {
      if (text !== null) texts.set(file, text);
    }
    loaded = { generation, names, texts };
  }

  /**
   * Nginx could not be told: what was put is undone, what was removed stays removed. Where Nginx does
   * not answer at all a removal is done, since it reads the files when it starts.
   */
  async function withdraw(changes: Pending[], cause: unknown): Promise<void> {
    loaded = null;
    await Promise.all(changes.map((change) => undoChange(change, folder)));
    const { answers } = await nginx.ask();
    for (const change of changes) {
      if (change.text === null && !answers) change.resolve();
      else change.reject(isPlatformError(cause, "storage_failed") ? cause : unavailable(change, cause));
    }
  }

  /** Something failed that nothing above expects, such as a folder that cannot be read. */
  async function giveUp(batch: Pending[], error: unknown): Promise<void> {
    loaded = null;
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
      const isOurs = await Promise.all(ids.map(holdsWhatWasPut));
      const gates = new Set(folder.gatesNow());
      return ids.filter((_, index) => isOurs[index]).map((id) => ({ id, open: gates.has(id) }));
    },

    async removeStrays(known) {
      // Read at this very instant, when `known` is true: a route put later is not a stray.
      const names = folder.namesNow();
      const strays = names.filter((name) => idOf(name) !== null && !known.has(idOf(name) ?? ""));
      const unseen = names.some((name) => isForeign(name) && loaded?.names.has(name) !== true);
      // Somebody else's file is theirs to keep, unless Nginx refuses it: then nobody could be routed any more.
      if (unseen) loaded = null;
      const gates = folder.gatesNow().filter((id) => !known.has(id));
      await Promise.all(gates.map((id) => folder.remove(gateOf(id))));
      await Promise.all([...strays, ...(unseen ? [ABSENT_FILE] : [])].map((name) => submit(name, null)));
      await folder.sweep();
      return strays;
    },

    async rescue() {
      const ids = await folder.ids();
      const spoilt = await Promise.all(ids.map(async (id) => ((await holdsWhatWasPut(id)) ? [] : [fileOf(id)])));
      const suspects = [...(await folder.names()).filter(isForeign), ...spoilt.flat()];
      for (const name of suspects) {
        await folder.setAside(name, Date.now());
        noteRejected(name, "Nginx does not start, and this file is none of the platform's");
      }
      return suspects;
    },

    check: () => nginx.check(),
    stats: () => ({ reloads: nginx.count() }),
  };
}

/** Neither an environment's file nor the generation's. */
function isForeign(name: string): boolean {
  return idOf(name) === null && name !== GENERATION_FILE;
}

function settle(changes: Pending[]): void {
  for (const change of changes) change.resolve();
}

function unavailable({ file, text }: Change, cause: unknown): PlatformError {
  const what = text === null ? "unroute" : "route";
  const detail = `Cannot ${what} "${file}": Nginx cannot be reloaded: ${describeError(cause)}. Start it with \`make up\` and try again.`;
  return new PlatformError("ingress_unavailable", detail, { cause });
}
