import { createNotifier, type Notifier } from "../../kernel/notifier.ts";

/** A log that is followed. */
type FollowedLog = {
  /** Its appends. */
  changes: Notifier;
  /** Aborts when nothing will be appended any more. */
  ended: AbortController;
  /** Whether it has moved to the archive. */
  archived: boolean;
  followers: number;
};

/** The logs that have followers, by environment id. */
export type Followers = {
  /** Each join is followed by one leave. */
  join(id: string): FollowedLog;
  leave(id: string): void;
  notify(id: string): void;
  end(id: string, archived: boolean): void;
  endAll(): void;
};

export function createFollowers(): Followers {
  const logs = new Map<string, FollowedLog>();

  function end(id: string, archived: boolean): void {
    const log = logs.get(id);
    if (log === undefined) return;
    log.archived ||= archived;
    log.ended.abort();
  }

  return {
    join(id) {
      const log = logs.get(id) ?? {
        changes: createNotifier(),
        ended: new AbortController(),
        archived: false,
        followers: 0,
      };
      logs.set(id, log);
      log.followers++;
      return log;
    },
    leave(id) {
      const log = logs.get(id);
      if (log !== undefined && --log.followers === 0) logs.delete(id);
    },
    notify: (id) => logs.get(id)?.changes.notify(),
    end,
    endAll() {
      for (const id of logs.keys()) end(id, false);
    },
  };
}
