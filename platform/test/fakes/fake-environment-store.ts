import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { describeError } from "../../kernel/errors.ts";
import { systemClock, type Clock } from "../../kernel/clock.ts";
import { createKeyedLock } from "../../kernel/keyed-lock.ts";
import { assertEnvironmentId } from "../../store/files/assert-id.ts";
import { createRecordMemory } from "../../store/state/record-memory.ts";
import { formatStateFile } from "../../store/state/state-file.ts";
import type { EnvironmentStore } from "../../store/store.ts";
import { createWriteFailures, type WriteFailures } from "../../store/files/write-failures.ts";

type FakeControls = WriteFailures & {
  /** What it says is set aside. */
  heldBack: { id: string; since: number }[];
  /** Removes a state file. */
  damage(id: string): void;
  /** What it says of itself after a start; `noteLost` ends it. */
  doubts(what: "folder" | "files"): void;
};

/** An EnvironmentStore without a disk. `records` are what its load finds. */
export function createFakeEnvironmentStore(
  records: readonly EnvironmentRecord[] = [],
  clock: Clock = systemClock,
): EnvironmentStore & FakeControls {
  const memory = createRecordMemory();
  const lock = createKeyedLock();
  const { attempt, failNextWrites } = createWriteFailures();

  const heldBack: { id: string; since: number }[] = [];
  const damaged = new Set<string>();
  let doubt: "folder" | "files" | null = null;
  return {
    failNextWrites,
    heldBack,
    setAside: async () => heldBack.filter(({ id }) => memory.get(id) === null),
    async load() {
      for (const record of records) memory.put(record);
      doubt = records.length === 0 ? "folder" : null;
      return { loaded: records.length, quarantined: [] };
    },
    all: memory.all,
    get: memory.get,
    save(record) {
      return lock.run(record.id, async () => {
        formatStateFile(record);
        await attempt();
        memory.put(record);
      });
    },
    async remove(id) {
      assertEnvironmentId(id, "remove environment");
      await lock.run(id, async () => {
        await attempt();
        memory.delete(id);
      });
    },
    damaged: async () => memory.all().flatMap(({ id }) => (damaged.delete(id) ? [id] : [])),
    damage: (id) => void damaged.add(id),
    doubts: (what) => void (doubt = what),
    doubt: () => doubt,
    async noteLost(ids) {
      for (const id of ids) assertEnvironmentId(id, "set aside environment");
      if (ids.length > 0) await attempt();
      heldBack.push(...ids.map((id) => ({ id, since: clock.now() })));
      doubt = null;
    },
    async check() {
      try {
        await attempt();
        return { ok: true, detail: "in memory" };
      } catch (error) {
        return { ok: false, detail: describeError(error) };
      }
    },
  };
}
