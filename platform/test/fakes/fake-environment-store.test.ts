import { describeEnvironmentStoreContract } from "../contracts/environment-store-contract.ts";
import { createFakeEnvironmentStore } from "./fake-environment-store.ts";

describeEnvironmentStoreContract("fake", async () => {
  const store = createFakeEnvironmentStore();
  return {
    store,
    failNextWrite: async () => store.failNextWrites(),
    reopen: async () => createFakeEnvironmentStore(store.all()),
  };
});
