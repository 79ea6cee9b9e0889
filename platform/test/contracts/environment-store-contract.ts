import { describe, expect, test } from "vitest";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import { aRecord } from "../support/record.ts";

/** An empty store, a way to make its next write fail, and one to open what is stored a second time, as after a restart. */
export type EnvironmentStoreSubject = {
  store: EnvironmentStore;
  failNextWrite(): Promise<void>;
  reopen(): Promise<EnvironmentStore>;
};

/** What every EnvironmentStore does; run against the fake and the one on disk. */
export function describeEnvironmentStoreContract(
  name: string,
  makeSubject: () => Promise<EnvironmentStoreSubject>,
): void {
  describe(`EnvironmentStore contract: ${name}`, () => {
    test("a new store loads nothing and holds nothing", async () => {
      const { store } = await makeSubject();
      expect(await store.load()).toEqual({ loaded: 0, quarantined: [] });
      expect(store.all()).toEqual([]);
      expect(store.get("env-none-1")).toBeNull();
    });

    test("a saved record is there at once and after a restart", async () => {
      const { store, reopen } = await makeSubject();
      const record = aRecord({ name: 'quotes " and \u{1f4a5} and\nbreaks', idempotency: { key: "k", digest: "d" } });
      await store.save(record);
      expect(store.get(record.id)).toEqual(record);
      const later = await reopen();
      expect(await later.load()).toEqual({ loaded: 1, quarantined: [] });
      expect(later.get(record.id)).toEqual(record);
    });

    test("all() gives the oldest first and equally old ones by id", async () => {
      const { store } = await makeSubject();
      await store.save(aRecord({ id: "env-young-1", created_at: "2030-01-01T00:00:02.000Z" }));
      await store.save(aRecord({ id: "env-b-1", created_at: "2030-01-01T00:00:01.000Z" }));
      await store.save(aRecord({ id: "env-a-1", created_at: "2030-01-01T00:00:01.000Z" }));
      await store.save(aRecord({ id: "env-old-1", created_at: "2030-01-01T00:00:00.000Z" }));
      expect(store.all().map(({ id }) => id)).toEqual(["env-old-1", "env-a-1", "env-b-1", "env-young-1"]);
      await store.remove("env-a-1");
      expect(store.all().map(({ id }) => id)).toEqual(["env-old-1", "env-b-1", "env-young-1"]);
    });

    test("all() gives the same array until a record has changed", async () => {
      const { store } = await makeSubject();
      const arrays = [store.all()];
      for (const change of [
        () => store.save(aRecord()),
        () => store.save(aRecord()),
        () => store.remove(aRecord().id),
      ]) {
        await change();
        expect(store.all()).toBe(store.all());
        expect(arrays).not.toContain(store.all());
        arrays.push(store.all());
      }
    });

    test("a record saved again replaces the former one", async () => {
      const { store } = await makeSubject();
      await store.save(aRecord({ status: "creating" }));
      await store.save(aRecord({ status: "running" }));
      expect(store.all().map(({ status }) => status)).toEqual(["running"]);
    });

    test("remove is final, also after a restart, and succeeds where there is no record", async () => {
      const { store, reopen } = await makeSubject();
      const record = aRecord();
      await store.save(record);
      await store.remove(record.id);
      await store.remove(record.id);
      expect(store.get(record.id)).toBeNull();
      expect(await (await reopen()).load()).toEqual({ loaded: 0, quarantined: [] });
    });

    test("memory keeps what it had when a save fails", async () => {
      const { store, failNextWrite } = await makeSubject();
      await store.save(aRecord({ status: "running" }));
      await failNextWrite();
      await expect(store.save(aRecord({ status: "degraded" }))).rejects.toMatchObject({ code: "storage_failed" });
      expect(store.get(aRecord().id)?.status).toBe("running");
    });

    test("memory keeps what it had when a removal fails", async () => {
      const { store, failNextWrite } = await makeSubject();
      await store.save(aRecord());
      await failNextWrite();
      await expect(store.remove(aRecord().id)).rejects.toMatchObject({ code: "storage_failed" });
      expect(store.get(aRecord().id)).not.toBeNull();
    });

    test("saves of one environment end in the order of the calls, in memory and on disk", async () => {
      const { store, reopen } = await makeSubject();
      const ttls = Array.from({ length: 30 }, (_, index) => index + 1);
      await Promise.all(ttls.map((ttl) => store.save(aRecord({ ttl }))));
      expect(store.get(aRecord().id)?.ttl).toBe(30);
      await Promise.all([
        store.save(aRecord({ ttl: 99 })),
        store.remove(aRecord().id),
        store.save(aRecord({ ttl: 7 })),
      ]);
      expect(store.get(aRecord().id)?.ttl).toBe(7);
      const later = await reopen();
      await later.load();
      expect(later.get(aRecord().id)?.ttl).toBe(7);
    });

    test("a record cannot be changed by its reader, nor later by the caller that saved it", async () => {
      const { store } = await makeSubject();
      const record = aRecord();
      await store.save(record);
      record.name = "changed";
      expect(store.get(record.id)?.name).toBe("hello");
      const held = store.get(record.id);
      expect(() => Object.assign(held ?? {}, { status: "destroying" })).toThrow(TypeError);
      expect(() => (store.all() as unknown[]).pop()).toThrow(TypeError);
      expect(store.all()).toHaveLength(1);
    });

    test("a record that could not be read again is refused and changes nothing", async () => {
      const { store } = await makeSubject();
      await expect(store.save(aRecord({ id: "../../etc/passwd" }))).rejects.toMatchObject({ code: "internal_error" });
      await expect(store.save(aRecord({ ttl: -1 }))).rejects.toMatchObject({ code: "internal_error" });
      await expect(store.remove("../outside")).rejects.toMatchObject({ code: "internal_error" });
      expect(store.all()).toEqual([]);
    });

    test("check() tells whether the store can be written to", async () => {
      const { store, failNextWrite } = await makeSubject();
      expect(await store.check()).toMatchObject({ ok: true });
      await failNextWrite();
      const { ok, detail } = await store.check();
      expect(ok).toBe(false);
      expect(detail).toMatch(/Cannot/);
    });
  });
}
