import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { describeSecretStoreContract } from "../../test/contracts/secret-store-contract.ts";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { createDiskSecretStore } from "./disk-secret-store.ts";

const ID = "env-hello-1";

describeSecretStoreContract("disk", async () => {
  const folder = join(await temporaryFolder(), "secrets");
  return { store: createDiskSecretStore({ folder }), reopen: () => createDiskSecretStore({ folder }) };
});

test("only the platform's user may read the folder and the files of secrets", async () => {
  const folder = join(await temporaryFolder(), "secrets");
  await createDiskSecretStore({ folder }).save(ID, { A: "b" });
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await stat(join(folder, `${ID}.json`))).mode & 0o777).toBe(0o600);
});

test("read throws for a file that holds no secrets any more, and quotes nothing of it", async () => {
  const folder = join(await temporaryFolder(), "secrets");
  const store = createDiskSecretStore({ folder });
  await store.save(ID, { A: "b" });
  await writeFile(join(folder, `${ID}.json`), '{"A": "hunter2-and-more');
  const error = await store.read(ID).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "storage_failed" });
  expect(inspect(error)).not.toContain("hunter2");
});

test("list clears away a half-written file of a killed platform", async () => {
  const folder = join(await temporaryFolder(), "secrets");
  const store = createDiskSecretStore({ folder });
  await store.save(ID, { A: "b" });
  await writeFile(join(folder, `.${ID}.json.0123456789abcdef.tmp`), "half");
  expect(await store.list()).toEqual([ID]);
  expect(await readdir(folder)).toEqual([`${ID}.json`]);
  expect(await readFile(join(folder, `${ID}.json`), "utf8")).toBe('{"A":"b"}\n');
});
