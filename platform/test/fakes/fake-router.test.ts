import { describeRouterContract } from "../contracts/router-contract.ts";
import { createFakeRouter } from "./fake-router.ts";

const UPSTREAMS = [
  { name: "first", address: "10.191.0.3", port: 3000 },
  { name: "second", address: "10.191.0.4", port: 8080 },
] as const;

describeRouterContract("The fake router", async () => {
  const router = createFakeRouter();
  return {
    router,
    upstreams: UPSTREAMS,
    async ask(host, port) {
      const address = router.routeOf(host, port)?.address;
      return UPSTREAMS.find((upstream) => upstream.address === address)?.name ?? null;
    },
    refusable(route) {
      router.rejectNext("[emerg] refused");
      return route;
    },
    async occupy() {
      router.setBusy(true);
      return { end: async () => router.setBusy(false) };
    },
    addForeign: async (file) => router.addForeign(file),
    hasForeign: async (file) => router.hasForeign(file),
    stop: async () => router.setDown(true),
    start: async () => router.setDown(false),
    dispose: async () => undefined,
  };
});
