import type { EnvironmentRecord } from "../domain/environment-record.ts";
import { describeError } from "../domain/errors.ts";
import { createKeyedLock } from "../runtime/keyed-lock.ts";
import { assertEnvironmentId } from "./assert-id.ts";
import { createRecordMemory } from "./record-memory.ts";
import { formatStateFile } from "./state-file.ts";
import type { EnvironmentStore } from "./store.ts";
import { createWriteFailures, type WriteFailures } from "./write-failures.ts";

/** An EnvironmentStore without a disk. `records` are what its load finds, `heldBack` what it says is set aside; `damage` removes a file. */
export function createFakeEnvironmentStore(
  records: EnvironmentRecord[] = [],
): EnvironmentStore & WriteFailures & { heldBack: { id: string; since: number }[]; damage(id: string): void } {
  const memory = createRecordMemory();
  const lock = createKeyedLock();
  const { attempt, failNextWrites } = createWriteFailures();

  const heldBack: { id: string; since: number }[] = [];
  const damaged = new Set<string>();
  return {
    failNextWrites,
    heldBack,
    setAside: async () => heldBack.filter(({ id }) => memory.get(id) === null),
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
