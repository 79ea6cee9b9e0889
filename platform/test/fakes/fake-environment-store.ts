import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { describeError } from "../../kernel/errors.ts";
import { createKeyedLock } from "../../kernel/keyed-lock.ts";
import { assertEnvironmentId } from "../../store/files/assert-id.ts";
import { createRecordMemory } from "../../store/state/record-memory.ts";
import { formatStateFile } from "../../store/state/state-file.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import { createWriteFailures, type WriteFailures } from "./write-failures.ts";

type FakeControls = WriteFailures & {
  /** The environments that it says are in quarantine. */
  quarantine: { id: string; since: number }[];
  /** Removes a state file. */
  damage(id: string): void;
};

/** An EnvironmentStore without a disk. `records` are what its load finds. */
export function createFakeEnvironmentStore(
  records: readonly EnvironmentRecord[] = [],
): EnvironmentStore & FakeControls {
  const memory = createRecordMemory();
  const lock = createKeyedLock();
  const { attempt, failNextWrites } = createWriteFailures();

  const quarantine: { id: string; since: number }[] = [];
  const damaged = new Set<string>();
  return {
    failNextWrites,
    quarantine,
    quarantined: async () => quarantine.filter(({ id }) => memory.get(id) === null),
    async load() {
      for (const record of records) memory.put(record);
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
    async restoreSentinel() {},
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
