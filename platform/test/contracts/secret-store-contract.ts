import { describe, expect, test } from "vitest";
import type { SecretStore } from "../../store/secrets/secret-store.ts";

/** An empty store, and a way to open what is stored a second time, as after a restart. */
export type SecretStoreSubject = { store: SecretStore; reopen(): SecretStore };

const ID = "env-hello-1";

/** What every SecretStore does; run against the fake and the one on disk. */
export function describeSecretStoreContract(name: string, makeSubject: () => Promise<SecretStoreSubject>): void {
  describe(`SecretStore contract: ${name}`, () => {
    test("secrets are read as they were saved, also after a restart", async () => {
      const { store, reopen } = await makeSubject();
      const secrets = { PASSWORD: 'pa"ss\\word', KEY: "line 1\nline 2\n", EMPTY: "", EMOJI: "\u{1f4a5}" };
      await store.save(ID, secrets);
      expect(await store.read(ID)).toEqual(secrets);
      expect(await reopen().read(ID)).toEqual(secrets);
      expect(await reopen().list()).toEqual([ID]);
    });

    test("read gives null for an environment without secrets, and list gives none", async () => {
      const { store } = await makeSubject();
      expect(await store.read(ID)).toBeNull();
      expect(await store.list()).toEqual([]);
    });

    test("remove is final, and succeeds where there are no secrets", async () => {
      const { store, reopen } = await makeSubject();
      await store.save(ID, { A: "b" });
      await store.remove(ID);
      await store.remove(ID);
      expect(await reopen().read(ID)).toBeNull();
      expect(await store.list()).toEqual([]);
    });

    test("a reader that changes its secrets does not change the saved ones", async () => {
      const { store } = await makeSubject();
      await store.save(ID, { A: "b" });
      Object.assign((await store.read(ID)) ?? {}, { A: "changed" });
      expect(await store.read(ID)).toEqual({ A: "b" });
    });

    test("a text that is no id is refused", async () => {
      const { store } = await makeSubject();
      await expect(store.save("../outside", {})).rejects.toMatchObject({ code: "internal_error" });
      await expect((async () => store.read("../outside"))()).rejects.toMatchObject({ code: "internal_error" });
      await expect(store.remove("../outside")).rejects.toMatchObject({ code: "internal_error" });
    });
  });
}
