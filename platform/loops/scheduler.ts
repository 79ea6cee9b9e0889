import { createTask, setLogger, type ScheduledTask } from "node-cron";
import type { Logger } from "../kernel/logger.ts";
import { createRuns, type Job } from "./runs.ts";

export type Scheduler = {
  /** Whether every job runs when due and its last run succeeded. `detail` names the jobs only: any caller may read it. */
  health(): { ok: boolean; detail: string };
  /** Begins no more runs and waits for those under way. */
  stop(): Promise<void>;
};

/** Cron expressions are no finer than a second. */
const TICK_MS = 1_000;
/** A job is late when it has begun no run in the time of so many runs, but at the earliest after LATE_MS. */
const LATE_RUNS = 3;
const LATE_MS = 30_000;

/**
 * Runs jobs by their schedules. A run that is due while the previous one of its job is still busy is skipped with a
 * warning, unless the job overlaps. A job that throws is logged and runs again when next due.
 *
 * node-cron computes when a job is due and executes it, but the timer is ours. Its own waits for a moment of the wall
 * clock: when the clock is set back it waits for the whole step, and when a sleeping machine wakes it goes through
 * every missed run.
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
      const problems = [
        ...(failing.length > 0 ? [`failing: ${namesOf(failing)}`] : []),
        ...(late.length > 0 ? [`not begun when due: ${namesOf(late)}`] : []),
      ];
      return { ok: false, detail: [...problems, "the log says why"].join("; ") };
    },
    async stop() {
      for (const end of ends) end();
      await runs.ended();
    },
  };
}

/** Checks at every full second whether the task is due, by a timer that no clock change delays. Returns its end. */
function executeWhenDue(task: ScheduledTask): () => void {
  let due = nextRun(task);
  let checkedAt = Date.now();
  let timer: NodeJS.Timeout;
  function check(): void {
    const now = Date.now();
    // Only then: node-cron takes milliseconds to compute the next run, and would do so every second for every job.
    if (now >= due || now < checkedAt) {
      const next = nextRun(task);
      // A later next run means that the former moment has come, perhaps by a step of the clock. An earlier one means
      // that the clock was set back.
      if (next > due) void task.execute();
      due = next;
    }
    checkedAt = now;
    timer = setTimeout(check, TICK_MS - (Date.now() % TICK_MS));
  }
  check();
  return () => {
    clearTimeout(timer);
    void task.destroy();
  };
}

/** The moment of the `after`-th run from now, in milliseconds since the epoch. */
function nextRun(task: ScheduledTask, after = 1): number {
  return task.getNextRuns(after).at(-1)?.getTime() ?? Infinity;
}

function namesOf(jobs: Job[]): string {
  return jobs.map(({ name }) => name).join(", ");
}
