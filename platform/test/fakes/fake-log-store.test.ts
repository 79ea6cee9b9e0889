import { describeLogFollowContract } from "../contracts/log-follow-contract.ts";
import { describeLogStoreContract } from "../contracts/log-store-contract.ts";
import { createFakeLogStore } from "./fake-log-store.ts";

describeLogStoreContract("fake", async () => {
  const store = createFakeLogStore();
  return {
    store,
    async failNextAppend() {
      store.failNextWrites();
      return async () => undefined;
    },
    cleanupLines: async () => store.cleanup,
  };
});

describeLogFollowContract("fake", async () => createFakeLogStore());
