import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Router, Route } from "../../routing/router.ts";

/** A front door under test, with what it takes to see it from outside. */
export type IngressSubject = {
  ingress: Router;
  /** Two services to route to. */
  upstreams: readonly [Upstream, Upstream];
  /**
   * The name of the service that answers a new request for this host, null where no environment claims it or its
   * route is closed; `internal` as probes ask, who meet no gate.
   */
  ask(host: string, door?: "front" | "internal"): Promise<string | null>;
  /** The route, or one like it, that Nginx will refuse though it is well-formed. */
  refusable(route: Route): Route;
  /** Makes a request to this host that is under way until it is ended. */
  occupy(host: string): Promise<{ end(): Promise<void> }>;
  /** Puts a file beside the routes behind the ingress's back. */
  addStray(file: string): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
};

type Upstream = { name: string; address: string; port: number };

/** What every ingress must do; `makeSubject` is called once, and routes are cleared after each test. */
export function describeIngressContract(name: string, makeSubject: () => Promise<IngressSubject>): void {
  describe(`${name} as an ingress`, () => {
    let subject: IngressSubject;
    let ingress: Router;
    let counter = 0;

    beforeAll(async () => {
      subject = await makeSubject();
      ({ ingress } = subject);
    });
    afterEach(() => ingress.removeStrays(new Set()));
    afterAll(() => subject?.dispose());

    function makeRoute(upstream: 0 | 1 = 0): Route {
      const id = `env-contract-${(++counter).toString(36)}`;
      const { address, port } = subject.upstreams[upstream];
      return { id, host: `${id}.localhost`, address, port };
    }

    async function putOpen(...routes: Route[]): Promise<void> {
      await Promise.all(routes.map((route) => ingress.upsert(route)));
      await Promise.all(routes.map(({ id }) => ingress.enable(id)));
    }

    const list = async () => (await ingress.list()).toSorted((a, b) => a.id.localeCompare(b.id));
    const opened = (...routes: Route[]) =>
      routes.map(({ id }) => ({ id, enabled: true })).sort((a, b) => a.id.localeCompare(b.id));

    it("loads a route once put resolves: closed, but to probes", async () => {
      const route = makeRoute();
      expect(await subject.ask(route.host, "internal")).toBe(null);
      await ingress.upsert(route);
      expect(await subject.ask(route.host)).toBe(null);
      expect(await subject.ask(route.host, "internal")).toBe(subject.upstreams[0].name);
      expect(await ingress.list()).toMatchObject([{ id: route.id, enabled: false }]);
    });

    it("answers with a route's service once open resolves, however often it is opened", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await Promise.all([ingress.upsert(route), ingress.upsert(neighbour)]);
      for (let times = 0; times < 2; times++) {
        await ingress.enable(route.id);
        expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
        expect(await subject.ask(route.host, "internal")).toBe(subject.upstreams[0].name);
      }
      expect(await subject.ask(neighbour.host)).toBe(null);
      expect(await list()).toMatchObject([
        { id: route.id, enabled: true },
        { id: neighbour.id, enabled: false },
      ]);
    });

    it("closes a route at once, keeping it loaded, and tells whether a request is under way, to whomever", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await putOpen(route, neighbour);
      const under = await subject.occupy(neighbour.host);
      expect(await ingress.disable(route.id)).toBe("busy");
      expect(await subject.ask(route.host)).toBe(null);
      expect(await subject.ask(route.host, "internal")).toBe(subject.upstreams[0].name);
      expect(await subject.ask(neighbour.host)).toBe(subject.upstreams[1].name);
      expect(await list()).toMatchObject([{ id: route.id, enabled: false }, ...opened(neighbour)]);
      await under.end();
      await expect.poll(() => ingress.disable(route.id), { timeout: 5_000 }).toBe("idle");
      expect(await ingress.disable("env-nobody-000000")).toBe("idle");
      await subject.stop();
      expect(await ingress.disable(neighbour.id)).toBe("busy");
      await subject.start();
    });

    it("opens many routes at once, and nothing for an id that is none or has no route", async () => {
      const routes = Array.from({ length: 10 }, () => makeRoute());
      await putOpen(...routes);
      await Promise.all(["env-never-there", "../evil", ""].map((id) => ingress.enable(id)));
      const answers = await Promise.all(routes.map((route) => subject.ask(route.host)));
      expect(answers).toEqual(routes.map(() => subject.upstreams[0].name));
      expect(await list()).toMatchObject(opened(...routes));
    });

    it("replaces a route when another is put for the same environment, and leaves it open", async () => {
      const route = makeRoute(0);
      await putOpen(route);
      const { address, port, name: expected } = subject.upstreams[1];
      await ingress.upsert({ ...route, address, port });
      expect(await subject.ask(route.host)).toBe(expected);
      expect(await ingress.list()).toMatchObject(opened(route));
    });

    it("keeps a route that is put again as it is", async () => {
      const route = makeRoute();
      await putOpen(route);
      await ingress.upsert(route);
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
    });

    it("stops answering for a host once remove resolves, and accepts that there is no route", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await putOpen(route, neighbour);
      await ingress.remove(route.id);
      expect(await subject.ask(route.host)).toBe(null);
      expect(await subject.ask(route.host, "internal")).toBe(null);
      expect(await subject.ask(neighbour.host)).toBe(subject.upstreams[1].name);
      await ingress.remove(route.id);
      await ingress.remove("env-never-there");
      expect(await ingress.list()).toMatchObject(opened(neighbour));
    });

    it("has a route closed again that was removed and is put anew", async () => {
      const route = makeRoute();
      await putOpen(route);
      await ingress.remove(route.id);
      await ingress.upsert(route);
      expect(await subject.ask(route.host)).toBe(null);
      expect(await ingress.list()).toMatchObject([{ id: route.id, enabled: false }]);
    });

    it("makes many routes live that are put and removed at once", async () => {
      const routes = Array.from({ length: 30 }, (_, index) => makeRoute(index % 2 === 0 ? 0 : 1));
      await putOpen(...routes);
      const answers = await Promise.all(routes.map((route) => subject.ask(route.host)));
      expect(answers).toEqual(routes.map((_, index) => subject.upstreams[index % 2 === 0 ? 0 : 1].name));
      expect(await list()).toMatchObject(opened(...routes));
      await Promise.all(routes.map(({ id }) => ingress.remove(id)));
      expect(await Promise.all(routes.map((route) => subject.ask(route.host)))).toEqual(routes.map(() => null));
      expect(await ingress.list()).toEqual([]);
    });

    it("carries out changes of one environment in the order they are asked for", async () => {
      const [route, back] = [makeRoute(), makeRoute(1)];
      await Promise.all([
        ingress.upsert(route),
        ingress.remove(route.id),
        ingress.upsert(route),
        ingress.remove(route.id),
        ingress.upsert(back),
        ingress.remove(back.id),
        ingress.upsert(back),
      ]);
      expect(await subject.ask(route.host, "internal")).toBe(null);
      expect(await subject.ask(back.host, "internal")).toBe(subject.upstreams[1].name);
      expect(await ingress.list()).toMatchObject([{ id: back.id, enabled: false }]);
    });

    it("refuses what Nginx refuses, keeps the former route and everybody else's", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await putOpen(route, neighbour);
      await expect(ingress.upsert(subject.refusable({ ...route, port: 1 }))).rejects.toMatchObject({
        code: "ingress_rejected",
        status: 503,
      });
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
      expect(await subject.ask(neighbour.host)).toBe(subject.upstreams[1].name);
      expect(await list()).toMatchObject(opened(route, neighbour));
    });

    it("leaves nothing of a first route that Nginx refuses", async () => {
      const route = makeRoute();
      await expect(ingress.upsert(subject.refusable(route))).rejects.toMatchObject({ code: "ingress_rejected" });
      expect(await ingress.list()).toEqual([]);
      await putOpen(route);
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
    });

    it("refuses values that could mean something else to Nginx", async () => {
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
      for (const bad of hostile) await expect(ingress.upsert(bad)).rejects.toMatchObject({ code: "ingress_rejected" });
      expect(await ingress.list()).toEqual([]);
    });

    it("removes routes that nobody knows, reports them, and keeps the known ones and somebody else's file", async () => {
      const [known, forgotten] = [makeRoute(0), makeRoute(1)];
      await putOpen(known, forgotten);
      await subject.addStray("somebody-elses.conf");
      const removed = await ingress.removeStrays(new Set([known.id]));
      expect(removed).toEqual([`${forgotten.id}.conf`]);
      expect(await ingress.removeStrays(new Set([known.id]))).toEqual([]);
      expect(await subject.ask(known.host)).toBe(subject.upstreams[0].name);
      expect(await subject.ask(forgotten.host)).toBe(null);
      // Its gate went too.
      await ingress.upsert(forgotten);
      expect(await subject.ask(forgotten.host)).toBe(null);
    });

    it("says that it is well while Nginx answers", async () => {
      expect(await ingress.check()).toEqual({ ok: true, detail: expect.any(String) });
    });

    describe("while Nginx is down", () => {
      it("says so, refuses new routes, takes old ones away, and is right again once Nginx is back", async () => {
        const [kept, removed, late, shut] = [makeRoute(0), makeRoute(0), makeRoute(1), makeRoute(1)];
        await putOpen(kept, removed);
        await ingress.upsert(shut);
        await subject.stop();
        try {
          expect(await ingress.check()).toEqual({ ok: false, detail: expect.any(String) });
          await expect(ingress.upsert(late)).rejects.toMatchObject({ code: "ingress_unavailable", status: 503 });
          await expect(ingress.upsert({ ...kept, port: 1 })).rejects.toMatchObject({ code: "ingress_unavailable" });
          await ingress.remove(removed.id);
          await ingress.enable(shut.id);
          expect(await list()).toMatchObject(opened(kept, shut));
        } finally {
          await subject.start();
        }
        expect(await ingress.check()).toMatchObject({ ok: true });
        expect(await subject.ask(kept.host)).toBe(subject.upstreams[0].name);
        expect(await subject.ask(removed.host)).toBe(null);
        expect(await subject.ask(shut.host)).toBe(subject.upstreams[1].name);
        await putOpen(late);
        expect(await subject.ask(late.host)).toBe(subject.upstreams[1].name);
      });
    });
  });
}
