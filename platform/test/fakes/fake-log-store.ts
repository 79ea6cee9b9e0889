import { PlatformError } from "../../kernel/errors.ts";
import { createNotifier, type Notifier } from "../../kernel/notifier.ts";
import type { HealthCheck } from "../../domain/health-rule.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { assertEnvironmentId } from "../../store/files/assert-id.ts";
import { createLineFilter, formatLine } from "../../store/logs/app-log-line.ts";
import { createResumeSearch } from "../../store/logs/resume-search.ts";
import type { FollowQuery, LogStore, ResumePoint } from "../../store/logs/log-store.ts";
import { createWriteFailures, type WriteFailures } from "./write-failures.ts";

/** `none`: nothing was ever written; `gone`: discarded, or archived without ever having been. */
type Place = "none" | "live" | "archived" | "gone";
type Logs = { place: Place; lines: string[]; checks: HealthCheck[]; owner: string | null; changes: Notifier };

export type FakeLogStore = LogStore & WriteFailures & { readonly cleanup: Record<string, unknown>[] };

/** A LogStore without a disk: nothing is rotated, everything else is as the interface says. */
export function createFakeLogStore(): FakeLogStore {
  const environments = new Map<string, Logs>();
  const cleanup: Record<string, unknown>[] = [];
  const { attempt, failNextWrites } = createWriteFailures();
  let closed = false;

  function logsOf(id: string): Logs {
    assertEnvironmentId(id, "keep logs of");
    const logs = environments.get(id) ?? {
      place: "none",
      lines: [],
      checks: [],
      owner: null,
      changes: createNotifier(),
    };
    environments.set(id, logs);
    return logs;
  }

  function readable(id: string): Logs | null {
    const logs = environments.get(id);
    return logs?.place === "live" || logs?.place === "archived" ? logs : null;
  }

  async function write(verb: string): Promise<void> {
    await attempt();
    if (closed) throw new PlatformError("shutting_down", `Cannot ${verb}: the platform is shutting down`);
  }

  function retire(id: string, place: Place): void {
    const logs = logsOf(id);
    if (logs.place === "none") logs.place = "gone";
    if (logs.place === "live") logs.place = place;
    logs.changes.notify();
  }

  async function* follow(
    id: string,
    { lines = 0, isOver = false, ...query }: FollowQuery,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    if (!isEnvironmentId(id) || closed) return;
    const logs = logsOf(id);
    const matches = createLineFilter(query);
    let next = logs.lines.length;
    yield* lastOf(logs.lines.filter(matches), lines);
    while (!signal.aborted) {
      const line = logs.lines[next];
      if (line !== undefined) {
        next++;
        if (matches(line)) yield line;
        continue;
      }
      if (isOver || closed || isRetired(logs)) return;
      await logs.changes.next(signal);
    }
  }

  return {
    failNextWrites,
    cleanup,
    async resumePoint(id, service): Promise<ResumePoint> {
      const search = createResumeSearch(service);
      for (const line of readable(id)?.lines.toReversed() ?? []) if (search.look(line)) break;
      return search.result();
    },
    async append(id, lines) {
      assertEnvironmentId(id, "keep logs of");
      if (lines.length === 0) return;
      await write("append to log");
      const logs = logsOf(id);
      if (isRetired(logs))
        throw new PlatformError("conflict", `Cannot append to log of "${id}": the environment is gone`);
      logs.place = "live";
      for (const line of lines) logs.lines.push(formatLine(line).slice(0, -1));
      logs.changes.notify();
    },
    async read(id, query) {
      const logs = readable(id);
      return logs === null ? null : lastOf(logs.lines.filter(createLineFilter(query)), query.lines);
    },
    follow,
    async appendHealth(id, check) {
      assertEnvironmentId(id, "keep logs of");
      await write("append to health log");
      const logs = logsOf(id);
      if (isRetired(logs)) return;
      logs.place = "live";
      logs.checks.push(structuredClone(check));
    },
    readHealth: async (id, count) => lastOf(readable(id)?.checks ?? [], count),
    async archive(id, owner = null) {
      assertEnvironmentId(id, "keep logs of");
      await write("archive logs");
      if (logsOf(id).place === "live") logsOf(id).owner = owner;
      retire(id, "archived");
    },
    archivedOwner: async (id) => environments.get(id)?.owner ?? null,
    archivePath(id) {
      assertEnvironmentId(id, "keep logs of");
      return `logs/archived/${id}`;
    },
    async discard(id) {
      assertEnvironmentId(id, "keep logs of");
      await write("discard logs");
      retire(id, "gone");
    },
    list: async () => [...environments].filter(([, logs]) => logs.place === "live").map(([id]) => id),
    async appendCleanup(action) {
      await write("append to cleanup log");
      cleanup.push(structuredClone(action));
    },
    async close() {
      closed = true;
      for (const logs of environments.values()) logs.changes.notify();
    },
  };
}

function isRetired({ place }: Logs): boolean {
  return place === "archived" || place === "gone";
}

function lastOf<T>(items: T[], count: number): T[] {
  return count <= 0 ? [] : items.slice(-count);
}
