import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Router, Route } from "../../routing/router.ts";

/** A router under test, with the means to see it from outside. */
export type RouterSubject = {
  router: Router;
  /** Two services to route to. */
  upstreams: readonly [Upstream, Upstream];
  /**
   * The name of the service that answers a new request for this host, null where no environment claims it or its route
   * is disabled; on the `internal` port, which probes use, no route is disabled.
   */
  ask(host: string, port?: "public" | "internal"): Promise<string | null>;
  /** The route, or one like it, that Nginx will refuse though it is well-formed. */
  refusable(route: Route): Route;
  /** Makes a request to this host that is under way until it is ended. */
  occupy(host: string): Promise<{ end(): Promise<void> }>;
  /** Puts a file of that name beside the routes, which the router did not write. */
  addForeign(file: string): Promise<void>;
  hasForeign(file: string): Promise<boolean>;
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
};

type Upstream = { name: string; address: string; port: number };

/** Every router must pass this; `makeSubject` is called once, and routes are cleared after each test. */
export function describeRouterContract(name: string, makeSubject: () => Promise<RouterSubject>): void {
  describe(`${name}: a router`, () => {
    let subject: RouterSubject;
    let router: Router;
    let counter = 0;

    beforeAll(async () => {
      subject = await makeSubject();
      ({ router } = subject);
    });
    afterEach(() => router.removeStrays(new Set()));
    afterAll(() => subject?.dispose());

    function makeRoute(upstream: 0 | 1 = 0): Route {
      const id = `env-contract-${(++counter).toString(36)}`;
      const { address, port } = subject.upstreams[upstream];
      return { id, host: `${id}.localhost`, address, port };
    }

    async function putEnabled(...routes: Route[]): Promise<void> {
      await Promise.all(routes.map((route) => router.upsert(route)));
      await Promise.all(routes.map(({ id }) => router.enable(id)));
    }

    const list = async () => (await router.list()).toSorted((a, b) => a.id.localeCompare(b.id));
    const enabledOf = (...routes: Route[]) =>
      routes.map(({ id }) => ({ id, enabled: true })).sort((a, b) => a.id.localeCompare(b.id));

    it("has a route loaded once upsert resolves: disabled, but to probes", async () => {
      const route = makeRoute();
      expect(await subject.ask(route.host, "internal")).toBe(null);
      await router.upsert(route);
      expect(await subject.ask(route.host)).toBe(null);
      expect(await subject.ask(route.host, "internal")).toBe(subject.upstreams[0].name);
      expect(await router.list()).toMatchObject([{ id: route.id, enabled: false }]);
    });

    it("answers with a route's service once enable resolves, however often it is enabled", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await Promise.all([router.upsert(route), router.upsert(neighbour)]);
      for (let times = 0; times < 2; times++) {
        await router.enable(route.id);
        expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
        expect(await subject.ask(route.host, "internal")).toBe(subject.upstreams[0].name);
      }
      expect(await subject.ask(neighbour.host)).toBe(null);
      expect(await list()).toMatchObject([
        { id: route.id, enabled: true },
        { id: neighbour.id, enabled: false },
      ]);
    });

    it("disables a route at once, keeps it loaded, and tells whether a request is under way to any environment", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await putEnabled(route, neighbour);
      const under = await subject.occupy(neighbour.host);
      expect(await router.disable(route.id)).toBe("busy");
      expect(await subject.ask(route.host)).toBe(null);
      expect(await subject.ask(route.host, "internal")).toBe(subject.upstreams[0].name);
      expect(await subject.ask(neighbour.host)).toBe(subject.upstreams[1].name);
      expect(await list()).toMatchObject([{ id: route.id, enabled: false }, ...enabledOf(neighbour)]);
      await under.end();
      await expect.poll(() => router.disable(route.id), { timeout: 5_000 }).toBe("idle");
      expect(await router.disable("env-nobody-000000")).toBe("idle");
      await subject.stop();
      expect(await router.disable(neighbour.id)).toBe("busy");
      await subject.start();
    });

    it("enables many routes at once, and ignores an id that is none or has no route", async () => {
      const routes = Array.from({ length: 10 }, () => makeRoute());
      await putEnabled(...routes);
      await Promise.all(["env-never-there", "../evil", ""].map((id) => router.enable(id)));
      const answers = await Promise.all(routes.map((route) => subject.ask(route.host)));
      expect(answers).toEqual(routes.map(() => subject.upstreams[0].name));
      expect(await list()).toMatchObject(enabledOf(...routes));
    });

    it("replaces an environment's route with another one, which stays enabled", async () => {
      const route = makeRoute(0);
      await putEnabled(route);
      const { address, port, name: expected } = subject.upstreams[1];
      await router.upsert({ ...route, address, port });
      expect(await subject.ask(route.host)).toBe(expected);
      expect(await router.list()).toMatchObject(enabledOf(route));
    });

    it("keeps a route that is upserted again as it is", async () => {
      const route = makeRoute();
      await putEnabled(route);
      await router.upsert(route);
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
    });

    it("stops answering for a host once remove resolves, and accepts that there is no route", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await putEnabled(route, neighbour);
      await router.remove(route.id);
      expect(await subject.ask(route.host)).toBe(null);
      expect(await subject.ask(route.host, "internal")).toBe(null);
      expect(await subject.ask(neighbour.host)).toBe(subject.upstreams[1].name);
      await router.remove(route.id);
      await router.remove("env-never-there");
      expect(await router.list()).toMatchObject(enabledOf(neighbour));
    });

    it("has a route disabled that was enabled, removed and upserted anew", async () => {
      const route = makeRoute();
      await putEnabled(route);
      await router.remove(route.id);
      await router.upsert(route);
      expect(await subject.ask(route.host)).toBe(null);
      expect(await router.list()).toMatchObject([{ id: route.id, enabled: false }]);
    });

    it("loads and unloads many routes that are upserted and removed at once", async () => {
      const routes = Array.from({ length: 30 }, (_, index) => makeRoute(index % 2 === 0 ? 0 : 1));
      await putEnabled(...routes);
      const answers = await Promise.all(routes.map((route) => subject.ask(route.host)));
      expect(answers).toEqual(routes.map((_, index) => subject.upstreams[index % 2 === 0 ? 0 : 1].name));
      expect(await list()).toMatchObject(enabledOf(...routes));
      await Promise.all(routes.map(({ id }) => router.remove(id)));
      expect(await Promise.all(routes.map((route) => subject.ask(route.host)))).toEqual(routes.map(() => null));
      expect(await router.list()).toEqual([]);
    });

    it("carries out changes of one environment in the order they are asked for", async () => {
      const [route, back] = [makeRoute(), makeRoute(1)];
      await Promise.all([
        router.upsert(route),
        router.remove(route.id),
        router.upsert(route),
        router.remove(route.id),
        router.upsert(back),
        router.remove(back.id),
        router.upsert(back),
      ]);
      expect(await subject.ask(route.host, "internal")).toBe(null);
      expect(await subject.ask(back.host, "internal")).toBe(subject.upstreams[1].name);
      expect(await router.list()).toMatchObject([{ id: back.id, enabled: false }]);
    });

    it("rejects a route that Nginx refuses, and keeps the former one and all others", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await putEnabled(route, neighbour);
      await expect(router.upsert(subject.refusable({ ...route, port: 1 }))).rejects.toMatchObject({
        code: "ingress_rejected",
        status: 503,
      });
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
      expect(await subject.ask(neighbour.host)).toBe(subject.upstreams[1].name);
      expect(await list()).toMatchObject(enabledOf(route, neighbour));
    });

    it("leaves nothing of a first route that Nginx refuses", async () => {
      const route = makeRoute();
      await expect(router.upsert(subject.refusable(route))).rejects.toMatchObject({ code: "ingress_rejected" });
      expect(await router.list()).toEqual([]);
      await putEnabled(route);
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
    });

    it("rejects values that could mean something else to Nginx", async () => {
      const route = makeRoute();
      const hostile: Route[] = [
        { ...route, id: "../evil" },
        { ...route, id: "00-config-version" },
        { ...route, host: "a.localhost; return 200" },
        { ...route, host: "*.localhost" },
        { ...route, host: "UPPER.localhost" },
        { ...route, address: "127.0.0.1" },
        { ...route, address: "app" },
        { ...route, port: 0 },
        { ...route, port: 80.5 },
      ];
      for (const bad of hostile) await expect(router.upsert(bad)).rejects.toMatchObject({ code: "ingress_rejected" });
      expect(await router.list()).toEqual([]);
    });

    it("removes the routes and the enabled flags of unknown environments, names them, and keeps known ones", async () => {
      const [known, forgotten] = [makeRoute(0), makeRoute(1)];
      await putEnabled(known, forgotten);
      expect(await router.removeStrays(new Set([known.id]))).toEqual([`${forgotten.id}.conf`]);
      expect(await router.removeStrays(new Set([known.id]))).toEqual([]);
      expect(await subject.ask(known.host)).toBe(subject.upstreams[0].name);
      expect(await subject.ask(forgotten.host)).toBe(null);
      await router.upsert(forgotten);
      expect(await subject.ask(forgotten.host)).toBe(null);
    });

    it("quarantines foreign files, and keeps every route", async () => {
      const route = makeRoute();
      await putEnabled(route);
      await subject.addForeign("theirs.conf");
      expect(await router.removeStrays(new Set([route.id]))).toEqual([]);
      expect(await subject.hasForeign("theirs.conf")).toBe(false);
      await subject.addForeign("theirs.conf");
      expect(await router.quarantineForeign()).toEqual(["theirs.conf"]);
      expect(await router.quarantineForeign()).toEqual([]);
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
    });

    it("is well while Nginx answers", async () => {
      expect(await router.check()).toEqual({ ok: true, detail: expect.any(String) });
    });

    describe("while Nginx is down", () => {
      it("is not well, rejects new routes, removes old ones, and is right again once Nginx is back", async () => {
        const [kept, removed, late, hidden] = [makeRoute(0), makeRoute(0), makeRoute(1), makeRoute(1)];
        await putEnabled(kept, removed);
        await router.upsert(hidden);
        await subject.stop();
        try {
          expect(await router.check()).toEqual({ ok: false, detail: expect.any(String) });
          await expect(router.upsert(late)).rejects.toMatchObject({ code: "ingress_unavailable", status: 503 });
          await expect(router.upsert({ ...kept, port: 1 })).rejects.toMatchObject({ code: "ingress_unavailable" });
          await router.remove(removed.id);
          await router.enable(hidden.id);
          expect(await list()).toMatchObject(enabledOf(kept, hidden));
        } finally {
          await subject.start();
        }
        expect(await router.check()).toMatchObject({ ok: true });
        expect(await subject.ask(kept.host)).toBe(subject.upstreams[0].name);
        expect(await subject.ask(removed.host)).toBe(null);
        expect(await subject.ask(hidden.host)).toBe(subject.upstreams[1].name);
        await putEnabled(late);
        expect(await subject.ask(late.host)).toBe(subject.upstreams[1].name);
      });
    });
  });
}
