import { describe, expect, onTestFinished, test } from "vitest";
import type { PlatformEvent } from "../../domain/events.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import { waitUntil } from "../support/wait-until.ts";

function listen(
  log: EventLog,
  afterId: number | null,
  signal = new AbortController().signal,
): { seen: PlatformEvent[]; ended: Promise<void> } {
  const seen: PlatformEvent[] = [];
  const events = log.subscribe(afterId, signal);
  const ended = (async () => {
    for await (const event of events) seen.push(event);
  })();
  return { seen, ended };
}

const emit = (log: EventLog, times: number) =>
  Array.from({ length: times }, (_, index) => log.emit({ type: "environment.running", env_id: `env-${index}` }));
const ids = (events: PlatformEvent[]) => events.map(({ id }) => id);

/** What every EventLog does; run against the fake and the one on disk. */
export function describeEventLogContract(name: string, makeLog: () => Promise<EventLog>): void {
  async function open(): Promise<EventLog> {
    const log = await makeLog();
    onTestFinished(() => log.close());
    return log;
  }

  describe(`EventLog contract: ${name}`, () => {
    test("emit numbers events upwards and stamps them", async () => {
      const log = await open();
      const first = log.emit({ type: "environment.degraded", env_id: "env-a-1", data: { failures: 3 } });
      const second = log.emit({ type: "platform.stopping", env_id: null });
      expect(first).toMatchObject({ type: "environment.degraded", env_id: "env-a-1", data: { failures: 3 } });
      expect(new Date(first.timestamp).toISOString()).toBe(first.timestamp);
      expect(second.id).toBeGreaterThan(first.id);
    });

    test("a subscriber without an id gets the events after its call, in order", async () => {
      const log = await open();
      emit(log, 3);
      const { seen } = listen(log, null);
      const later = emit(log, 5);
      await waitUntil("five events", () => seen.length === 5, 10_000, 10);
      expect(seen).toEqual(later);
    });

    test("a subscriber with an id gets the events it missed, then those to come", async () => {
      const log = await open();
      const [first, ...missed] = emit(log, 4);
      const { seen } = listen(log, first?.id ?? 0);
      const later = emit(log, 2);
      await waitUntil("five events", () => seen.length === 5, 10_000, 10);
      expect(ids(seen)).toEqual(ids([...missed, ...later]));
    });

    test("a subscriber with an id before all that are held gets the last thousand events", async () => {
      const log = await open();
      const events = emit(log, 1_300);
      const { seen } = listen(log, 0);
      await waitUntil("a thousand events", () => seen.length === 1_000, 10_000, 10);
      expect(ids(seen)).toEqual(ids(events.slice(300)));
    });

    test("a subscriber with an id above the last one, from before a wipe, gets all events that are held", async () => {
      const log = await open();
      const events = emit(log, 3);
      const { seen } = listen(log, (events.at(-1)?.id ?? 0) + 1_000_000);
      await waitUntil("three events", () => seen.length === 3, 10_000, 10);
      expect(seen).toEqual(events);
    });

    test("a subscription ends when its signal aborts, before or after its call", async () => {
      const log = await open();
      const stop = new AbortController();
      const { seen, ended } = listen(log, null, stop.signal);
      stop.abort();
      await ended;
      emit(log, 1);
      const late = listen(log, 0, stop.signal);
      await late.ended;
      expect([...seen, ...late.seen]).toEqual([]);
    });

    test("a stalled subscription ends once events that it has not read are dropped", async () => {
      const log = await open();
      const events = log.subscribe(null, new AbortController().signal)[Symbol.asyncIterator]();
      const [first] = emit(log, 1);
      expect(await events.next()).toEqual({ done: false, value: first });
      emit(log, 1_001);
      expect(await events.next()).toEqual({ done: true, value: undefined });
    });

    test("a slow subscriber that stays within the events held misses none", async () => {
      const log = await open();
      const events = log.subscribe(null, new AbortController().signal)[Symbol.asyncIterator]();
      const all: PlatformEvent[] = [];
      const read: PlatformEvent[] = [];
      for (let round = 0; round < 30; round++) {
        all.push(...emit(log, 50));
        for (let taken = 0; taken < 40; taken++) read.push((await events.next()).value);
      }
      expect(ids(read)).toEqual(ids(all.slice(0, read.length)));
    });

    test("a hundred subscribers get every event, and one that leaves hurts none", async () => {
      const log = await open();
      const subscribers = Array.from({ length: 100 }, () => listen(log, null));
      const leaving = (async () => {
        for await (const event of log.subscribe(null, new AbortController().signal)) return event;
        return null;
      })();
      const events = emit(log, 20);
      expect(await leaving).toEqual(events[0]);
      await waitUntil("everybody", () => subscribers.every(({ seen }) => seen.length === 20), 10_000, 10);
    });

    test("close ends every subscription after the events emitted before", async () => {
      const log = await open();
      const { seen, ended } = listen(log, null);
      emit(log, 3);
      await log.close();
      await ended;
      expect(seen).toHaveLength(3);
    });

    test("emit does not throw for data without a JSON form", async () => {
      const log = await open();
      const circle: Record<string, unknown> = {};
      circle["self"] = circle;
      expect(() => log.emit({ type: "environment.failed", env_id: null, data: circle })).not.toThrow();
      expect(() => log.emit({ type: "environment.failed", env_id: null, data: { big: 1n } })).not.toThrow();
      await log.close();
    });
  });
}
