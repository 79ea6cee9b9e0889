import { wasClockSetBackSince } from "../../domain/environment/lifetime.ts";
import { delay } from "../../kernel/delay.ts";
import { describeError, isPlatformError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { LogStore, ResumePoint } from "../../store/logs/log-store.ts";
import type { LogLine, Workloads } from "../../workloads/workloads.ts";

type LogShipperOptions = {
  workloads: Pick<Workloads, "logs">;
  logs: Pick<LogStore, "resumePoint" | "append">;
  logger: Pick<Logger, "info" | "warn">;
  /** Masks an environment's secrets in the lines of one reading, in order: an application may print them. */
  lineMaskerOf?: (env: string) => Promise<(lines: LogLine[]) => LogLine[]>;
  /** Milliseconds since the epoch, by the clock that stamps the lines; without it that is never set back. */
  now?: () => number;
  /** Waits between tries, in milliseconds: doubled from the first to the longest. */
  backoff?: { first: number; longest: number };
  /** How long the lines after a small batch are gathered before they are written, in milliseconds. */
  linger?: number;
};

type Shipper = {
  env: string;
  service: string;
  stopping: AbortController;
  /** Asked for again while it was running: the container may have begun another run. */
  again: boolean;
  ended: Promise<void>;
};

const BACKOFF = { first: 250, longest: 10_000 };
/** Writing one line costs as much as writing hundreds. */
const LINGER_MS = 200;
/** A larger batch is part of a flood, in which nothing waits: the engine drops lines that are not read in time. */
const MANY_LINES = 64;

export type LogShippers = ReturnType<typeof createLogShippers>;

/** Ships containers' output to `app.log`: each line once, and at least once where the clock is set back. */
export function createLogShippers({
  workloads,
  logs,
  logger,
  lineMaskerOf = async () => (lines) => lines,
  now = () => Infinity,
  backoff = BACKOFF,
  linger = LINGER_MS,
}: LogShipperOptions) {
  // Holds a shipper from its start until its loop has ended, so that two never append for one service.
  const shippers = new Map<string, Shipper>();

  /** One run of a container from the resume point to its end. Rejects with what interrupted it. */
  async function shipRun(
    { env, service, stopping: { signal } }: Shipper,
    reading: AbortSignal,
    onProgress: () => void,
  ): Promise<void> {
    const mask = await lineMaskerOf(env);
    const resume = unlessSetBack(await logs.resumePoint(env, service), now());
    const isNew = createSkipper(resume);
    const options = { follow: true, signal: reading, ...(resume === null ? {} : { since: resume.since }) };
    for await (const batch of workloads.logs({ env, service }, options)) {
      // The end of an aborted stream may be half a line: the next shipper reads all of it.
      if (reading.aborted) return;
      // Masked before the shipped ones are left out: the last piece that was shipped may hold the beginning of a secret.
      const lines = mask(batch)
        .filter(isNew)
        .map(({ timestamp, stream, text }) => ({ timestamp, service, stream, text }));
      if (lines.length > 0) await logs.append(env, lines);
      onProgress();
      if (batch.length < MANY_LINES) await delay(linger, signal);
    }
  }

  /** Ships run after run until the container has ended for good, is gone, or the shipper is stopped. */
  async function shipRuns(shipper: Shipper): Promise<void> {
    const { signal } = shipper.stopping;
    const reading = afterThisTurn(signal);
    const subject = { env_id: shipper.env, service: shipper.service };
    let failures = 0;
    const onProgress = () => {
      if (failures > 0) logger.info(subject, "log shipping goes on");
      failures = 0;
    };
    while (!signal.aborted) {
      shipper.again = false;
      try {
        await shipRun(shipper, reading, onProgress);
        if (!shipper.again) return;
      } catch (error) {
        if (signal.aborted) return;
        // The container is gone, or its logs are archived: no other try would succeed.
        if (isPlatformError(error, "conflict")) {
          if (!shipper.again) return;
        } else if (failures === 0) {
          logger.warn(
            { ...subject, reason: describeError(error) },
            "log shipping interrupted; trying again, nothing is lost meanwhile",
          );
        }
        await delay(Math.min(backoff.first * 2 ** failures++, backoff.longest), signal);
      }
    }
  }

  async function stopThese(chosen: Shipper[]): Promise<void> {
    for (const shipper of chosen) shipper.stopping.abort();
    await Promise.all(chosen.map((shipper) => shipper.ended));
  }

  const ofEnvironment = (env: string) => [...shippers.values()].filter((shipper) => shipper.env === env);

  return {
    /**
     * Begins to ship a service's output where shipping stopped. It ends with the run of the container; called before
     * that end was noticed, it goes on with the next run. Never fails: failures are logged and tried again.
     */
    async start(env: string, service: string): Promise<void> {
      const key = `${env} ${service}`;
      for (let running = shippers.get(key); running !== undefined; running = shippers.get(key)) {
        if (!running.stopping.signal.aborted) {
          running.again = true;
          return;
        }
        await stopThese([running]);
      }
      const shipper = { env, service, stopping: new AbortController(), again: false, ended: Promise.resolve() };
      shippers.set(key, shipper);
      shipper.ended = shipRuns(shipper).finally(() => shippers.delete(key));
    },
    /** Ends an environment's shippers. Nothing is appended for it once this resolves. */
    stop: (env: string) => stopThese(ofEnvironment(env)),
    /** Services of an environment whose output is being shipped. */
    active: (env: string): string[] =>
      ofEnvironment(env)
        .filter(({ stopping }) => !stopping.signal.aborted)
        .map(({ service }) => service),
    stopAll: () => stopThese([...shippers.values()]),
  };
}

/** Aborts a turn of the event loop after `signal`, so that lines that have arrived are taken first. */
function afterThisTurn(signal: AbortSignal): AbortSignal {
  const later = new AbortController();
  signal.addEventListener("abort", () => setImmediate(() => later.abort()), { once: true });
  return later.signal;
}

/**
 * After the clock was set back new lines are older than the last shipped one, and look as if they were shipped. Then all
 * that the engine still has is shipped: a line that is there twice is better than none.
 */
function unlessSetBack(resume: ResumePoint, now: number): ResumePoint {
  const last = [resume?.streams.stdout, resume?.streams.stderr].flatMap((line) => line?.timestamp ?? []);
  return wasClockSetBackSince(last, now) ? null : resume;
}

/**
 * Tells new lines from shipped ones, where the engine repeats lines from the resume point's `since` on. Within a stream
 * timestamps never descend: everything before the last shipped line is shipped, and as many lines of its very timestamp
 * as were counted.
 */
export function createSkipper(resume: ResumePoint): (line: LogLine) => boolean {
  const left = { stdout: resume?.streams.stdout?.count ?? 0, stderr: resume?.streams.stderr?.count ?? 0 };
  return ({ stream, timestamp }) => {
    const shipped = resume?.streams[stream]?.timestamp;
    if (shipped === undefined || timestamp > shipped) return true;
    if (timestamp < shipped) return false;
    return left[stream]-- <= 0;
  };
}
