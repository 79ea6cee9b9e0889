import { isPlatformError } from "../../kernel/errors.ts";
import type { Change, PendingChange } from "./change-queue.ts";
import type { ConfFolder } from "./conf-folder.ts";
import type { ConfigQuarantine } from "./config-quarantine.ts";
import type { LoadedConfig } from "./loaded-config.ts";
import type { NginxControl } from "./nginx-control.ts";
import type { Reloader } from "./reloader.ts";
import { nginxErrorOf, rejected, routingError, shuttingDown } from "./routing-errors.ts";
import type { RunningNginx } from "./running-nginx.ts";
import { parseServerBlock, type EdgeListener } from "./server-block.ts";

/**
 * How long answers under way at the reload mark have to end, before Nginx's own 100 ms after the signal. With an upsert,
 * a container is being started meanwhile, and takes longer.
 */
const DRAIN_MS = { upsert: 200, removal: 120 };

type Upsert = PendingChange & { text: string };

type Options = {
  folder: ConfFolder;
  listener: EdgeListener;
  loaded: LoadedConfig;
  quarantine: ConfigQuarantine["quarantine"];
  quarantineForeign: ConfigQuarantine["quarantineForeign"];
  nginx: Pick<RunningNginx, "ask">;
  control: Pick<NginxControl, "test">;
  reloader: Reloader;
  shutdownDeadline: AbortSignal | undefined;
};

/**
 * Makes the function that applies a batch and settles each of its changes: writes the files, reloads, and verifies that
 * the new config version is the only one that answers. Where that does not come, `nginx -t` says why.
 */
export function createBatchApplier(options: Options): (batch: PendingChange[]) => Promise<void> {
  const { folder, listener, loaded, quarantine, nginx, control, reloader, shutdownDeadline } = options;
  /** A restart that did not help is not tried again, until a config version has come. */
  let isRestartHopeless = false;

  async function applyBatch(batch: PendingChange[]): Promise<void> {
    if (shutdownDeadline?.aborted === true) return batch.forEach((change) => change.reject(shuttingDown(change)));
    try {
      await Promise.all(batch.map(async (change) => (change.previous = await readGenerated(change.file))));
      if (!(await isLoaded(batch))) await reloader.draining((drained) => writeAndReload(batch, drained));
      for (const change of batch) change.resolve();
    } catch (error) {
      await rollBack(batch, error);
    }
  }

  /** What the platform wrote into a file; a foreign text is not put back, Nginx may not even start with it. */
  async function readGenerated(file: string): Promise<string | null> {
    const text = await folder.read(file);
    return text !== null && parseServerBlock(text, listener) !== null ? text : null;
  }

  async function isLoaded(batch: PendingChange[]): Promise<boolean> {
    const fingerprints = folder.fingerprints();
    if (!batch.every((change) => loaded.isUpToDate(change, fingerprints))) return false;
    const answer = await nginx.ask();
    return answer.answers && answer.version === loaded.version();
  }

  async function writeAndReload(batch: PendingChange[], drained: (atLeastMs: number) => Promise<void>): Promise<void> {
    const written = await writeAll(batch);
    await quarantineOthers(written);
    await drained(written.some(isUpsert) ? DRAIN_MS.upsert : DRAIN_MS.removal);
    if (!(await load(reloader.reload))) await retryReload(written);
  }

  /** Writes the batch and returns it without the changes whose write failed: those are rejected. */
  async function writeAll(batch: PendingChange[]): Promise<PendingChange[]> {
    const results = await Promise.allSettled(
      batch.map(({ file, text }) => (text === null ? folder.remove(file) : folder.write(file, text))),
    );
    return batch.filter((change, index) => {
      const result = results[index];
      if (result?.status === "rejected") change.reject(result.reason);
      return result?.status === "fulfilled";
    });
  }

  async function quarantineOthers(written: PendingChange[]): Promise<void> {
    await options.quarantineForeign(new Set(written.map(({ file }) => file)));
  }

  /** Whether the config version came, by a reload or a restart. */
  async function load(how: () => Promise<number | null>): Promise<boolean> {
    shutdownDeadline?.throwIfAborted();
    // From before, so that a file that is written meanwhile is not taken for a loaded one.
    const fingerprints = folder.fingerprints();
    const version = await how();
    if (version === null) return false;
    loaded.note(version, fingerprints);
    isRestartHopeless = false;
    return true;
  }

  /**
   * The config version did not come: takes out the changes that Nginx refuses, reloads once more, and restarts Nginx's
   * container where the version does not come then either. Throws where that is of no use.
   */
  async function retryReload(written: PendingChange[]): Promise<void> {
    await quarantineOthers(written);
    const { ok } = await control.test();
    if (!ok) await isolateFailing(written.filter(isUpsert));
    if (await load(reloader.reload)) return;
    if (!isRestartHopeless) {
      isRestartHopeless = true;
      if (await load(reloader.restart)) return;
    }
    throw new Error("it does not take up the configuration, nor did it after a restart; see its log: docker logs");
  }

  /**
   * Undoes all upserts and makes them again one by one, since Nginx does not always name the file that it refuses. Those
   * that it refuses are quarantined, and rejected. Throws where Nginx refuses its configuration without them too.
   */
  async function isolateFailing(upserts: Upsert[]): Promise<void> {
    for (const change of upserts) await undo(change);
    const before = await control.test();
    if (!before.ok) throw new Error(`it refuses its configuration for another cause: ${nginxErrorOf(before.output)}`);
    for (const change of upserts) {
      await folder.write(change.file, change.text);
      const { ok, output } = await control.test();
      if (ok) continue;
      await quarantine(change.file, nginxErrorOf(output));
      await undo(change);
      change.reject(rejected(change, nginxErrorOf(output)));
    }
  }

  /**
   * Undoes the upserts of a batch; what was removed stays removed. Where Nginx does not answer at all a removal is done,
   * since Nginx reads the files when it starts.
   */
  async function rollBack(batch: PendingChange[], cause: unknown): Promise<void> {
    loaded.forget();
    await Promise.allSettled(batch.filter(isUpsert).map(undo));
    const isDown = !(await nginx.ask()).answers && !isPlatformError(cause, "storage_failed");
    for (const change of batch) {
      if (isDown && !isUpsert(change)) change.resolve();
      else change.reject(routingError(change, cause, shutdownDeadline?.aborted === true));
    }
  }

  async function undo({ file, previous }: Change): Promise<void> {
    if (previous === null) await folder.remove(file);
    else await folder.write(file, previous);
  }

  return applyBatch;
}

function isUpsert(change: PendingChange): change is Upsert {
  return change.text !== null;
}
