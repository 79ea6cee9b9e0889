import type { EnvironmentRecord } from "../../domain/environment/record.ts";

/** The records in memory, as frozen copies: only a save changes them. */
export type RecordMemory = {
  /** Oldest first; equally old ones by id. The same array until something changes. */
  all(): readonly EnvironmentRecord[];
  get(id: string): EnvironmentRecord | null;
  put(record: EnvironmentRecord): void;
  delete(id: string): void;
};

export function createRecordMemory(): RecordMemory {
  const records = new Map<string, EnvironmentRecord>();
  // Sorted once after a change, since reads outnumber changes by far.
  let sorted: readonly EnvironmentRecord[] | null = null;

  return {
    all: () => (sorted ??= Object.freeze([...records.values()].sort(byAge))),
    get: (id) => records.get(id) ?? null,
    put(record) {
      records.set(record.id, deepFreeze(structuredClone(record)));
      sorted = null;
    },
    delete(id) {
      if (records.delete(id)) sorted = null;
    },
  };
}

function byAge(a: EnvironmentRecord, b: EnvironmentRecord): number {
  const age = Date.parse(a.created_at) - Date.parse(b.created_at);
  return age === 0 ? (a.id < b.id ? -1 : 1) : age;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}
