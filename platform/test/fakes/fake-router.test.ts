import { describeIngressContract } from "../contracts/router-contract.ts";
import { createFakeRouter } from "./fake-router.ts";

const UPSTREAMS = [
  { name: "first", address: "10.191.0.3", port: 3000 },
  { name: "second", address: "10.191.0.4", port: 8080 },
] as const;

describeIngressContract("the fake", async () => {
  const ingress = createFakeRouter();
  return {
    ingress,
    upstreams: UPSTREAMS,
    async ask(host, door) {
      const address = ingress.routeOf(host, door)?.address;
      return UPSTREAMS.find((upstream) => upstream.address === address)?.name ?? null;
    },
    refusable(route) {
      ingress.rejectNext("[emerg] refused");
      return route;
    },
    async occupy() {
      ingress.setBusy(true);
      return { end: async () => ingress.setBusy(false) };
    },
    addStray: async (file) => ingress.addStray(file),
    stop: async () => ingress.setDown(true),
    start: async () => ingress.setDown(false),
    dispose: async () => undefined,
  };
});
