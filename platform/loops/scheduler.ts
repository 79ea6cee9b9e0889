import { createTask, setLogger, type ScheduledTask } from "node-cron";
import type { Logger } from "../kernel/logger.ts";
import { createRuns, type Job } from "./runs.ts";

export type Scheduler = {
  /** Whether every job runs when it is due and its last run succeeded, and which does not: why, the log says, since anybody may ask. */
  health(): { ok: boolean; detail: string };
  /** Starts no more runs and waits for those under way. */
  stop(): Promise<void>;
};

/** A cron expression cannot ask for more often. */
const LOOK_MS = 1_000;
/** A job that has begun no run when it should have begun so many is late, though no sooner than after LATE_MS. */
const LATE_RUNS = 3;
const LATE_MS = 30_000;

/**
 * Runs jobs by their schedules. A run that is due while the last one of its job is still busy is skipped, and
 * said so, unless the job overlaps. A job that throws is logged and runs again when it is next due.
 *
 * node-cron says when a job is due, and executes it; the timer is ours. node-cron's own waits for a moment of the
 * wall clock: with a clock that is set back it waits as long as that step, and after one forward, as when a
 * sleeping machine wakes, it walks through every run that was missed, which took 8 s for a day of seconds.
 */
export function startScheduler(jobs: Job[], logger: Logger): Scheduler {
  setLogger({
    info: (message) => logger.debug({ cron: message }, "scheduler"),
    warn: (message) => logger.warn({ cron: message }, "scheduler"),
    error: (message) => logger.error({ cron: String(message) }, "scheduler"),
    debug: () => {},
  });
  const runs = createRuns(logger);
  const patience = new Map<Job, () => number>();
  const lateAt = new Map<Job, number>();

  function awaitNext(job: Job): void {
    lateAt.set(job, performance.now() + Math.max(LATE_MS, patience.get(job)?.() ?? 0));
  }
  function begin(job: Job): void {
    if (runs.begin(job)) awaitNext(job);
  }
  function start(job: Job): () => void {
    const { schedule } = job;
    if (typeof schedule === "number") {
      patience.set(job, () => LATE_RUNS * schedule);
      const interval = setInterval(begin, schedule, job);
      return () => clearInterval(interval);
    }
    const task = createTask(schedule, () => begin(job));
    patience.set(job, () => nextRun(task, LATE_RUNS) - Date.now());
    return executeWhenDue(task);
  }

  const ends = jobs.map(start);
  jobs.forEach(awaitNext);

  return {
    health() {
      const failing = jobs.filter(({ name }) => runs.hasFailed(name));
      const late = jobs.filter((job) => performance.now() > (lateAt.get(job) ?? 0));
      if (failing.length + late.length === 0) return { ok: true, detail: namesOf(jobs) };
      const told = [
        ...(failing.length > 0 ? [`failing: ${namesOf(failing)}`] : []),
        ...(late.length > 0 ? [`not begun when due: ${namesOf(late)}`] : []),
      ];
      return { ok: false, detail: [...told, "the log says why"].join("; ") };
    },
    async stop() {
      for (const end of ends) end();
      await runs.ended();
    },
  };
}

/** Looks at every full second, by a timer that no clock moves. Returns what ends it. */
function executeWhenDue(task: ScheduledTask): () => void {
  let due = nextRun(task);
  let looked = Date.now();
  let timer: NodeJS.Timeout;
  function look(): void {
    const now = Date.now();
    // What is due cannot have changed otherwise, and node-cron takes milliseconds to say it, every second for every job.
    if (now >= due || now < looked) {
      const next = nextRun(task);
      // The next run is another one: the moment of the last has come, be it by a step of the clock. One that is
      // sooner than it was belongs to a clock that was set back.
      if (next > due) void task.execute();
      due = next;
    }
    looked = now;
    timer = setTimeout(look, LOOK_MS - (Date.now() % LOOK_MS));
  }
  look();
  return () => {
    clearTimeout(timer);
    void task.destroy();
  };
}

/** The moment of the run after so many, in milliseconds since the epoch. */
function nextRun(task: ScheduledTask, after = 1): number {
  return task.getNextRuns(after).at(-1)?.getTime() ?? Infinity;
}

function namesOf(jobs: Job[]): string {
  return jobs.map(({ name }) => name).join(", ");
}
