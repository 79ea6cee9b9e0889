import { describeSecretStoreContract } from "../contracts/secret-store-contract.ts";
import { createFakeSecretStore } from "./fake-secret-store.ts";

describeSecretStoreContract("fake", async () => {
  const store = createFakeSecretStore();
  return { store, reopen: () => store };
});
