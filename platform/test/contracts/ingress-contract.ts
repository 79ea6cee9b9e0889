import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Ingress, Route } from "../../ingress/ingress.ts";

/** A front door under test, with what it takes to see it from outside. */
export type IngressSubject = {
  ingress: Ingress;
  /** Two services to route to. */
  upstreams: readonly [Upstream, Upstream];
  /** The name of the service that answers a new request for this host, null where no environment claims it. */
  ask(host: string): Promise<string | null>;
  /** The route, or one like it, that Nginx will refuse though it is well-formed. */
  refusable(route: Route): Route;
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
    let ingress: Ingress;
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

    it("answers with a route's service once put resolves, and not before", async () => {
      const route = makeRoute();
      expect(await subject.ask(route.host)).toBe(null);
      await ingress.put(route);
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
      expect(await ingress.list()).toEqual([route.id]);
    });

    it("replaces a route when another is put for the same environment", async () => {
      const route = makeRoute(0);
      await ingress.put(route);
      const { address, port, name: expected } = subject.upstreams[1];
      await ingress.put({ ...route, address, port });
      expect(await subject.ask(route.host)).toBe(expected);
      expect(await ingress.list()).toEqual([route.id]);
    });

    it("keeps a route that is put again as it is", async () => {
      const route = makeRoute();
      await ingress.put(route);
      await ingress.put(route);
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
    });

    it("stops answering for a host once remove resolves, and accepts that there is no route", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await Promise.all([ingress.put(route), ingress.put(neighbour)]);
      await ingress.remove(route.id);
      expect(await subject.ask(route.host)).toBe(null);
      expect(await subject.ask(neighbour.host)).toBe(subject.upstreams[1].name);
      await ingress.remove(route.id);
      await ingress.remove("env-never-there");
      expect(await ingress.list()).toEqual([neighbour.id]);
    });

    it("makes many routes live that are put and removed at once", async () => {
      const routes = Array.from({ length: 30 }, (_, index) => makeRoute(index % 2 === 0 ? 0 : 1));
      await Promise.all(routes.map((route) => ingress.put(route)));
      const answers = await Promise.all(routes.map((route) => subject.ask(route.host)));
      expect(answers).toEqual(routes.map((_, index) => subject.upstreams[index % 2 === 0 ? 0 : 1].name));
      expect((await ingress.list()).sort()).toEqual(routes.map(({ id }) => id).sort());
      await Promise.all(routes.map(({ id }) => ingress.remove(id)));
      expect(await Promise.all(routes.map((route) => subject.ask(route.host)))).toEqual(routes.map(() => null));
      expect(await ingress.list()).toEqual([]);
    });

    it("carries out changes of one environment in the order they are asked for", async () => {
      const route = makeRoute();
      await Promise.all([ingress.put(route), ingress.remove(route.id), ingress.put(route), ingress.remove(route.id)]);
      expect(await subject.ask(route.host)).toBe(null);
      expect(await ingress.list()).toEqual([]);
    });

    it("refuses what Nginx refuses, keeps the former route and everybody else's", async () => {
      const [route, neighbour] = [makeRoute(0), makeRoute(1)];
      await Promise.all([ingress.put(route), ingress.put(neighbour)]);
      await expect(ingress.put(subject.refusable({ ...route, port: 1 }))).rejects.toMatchObject({
        code: "ingress_rejected",
        status: 503,
      });
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
      expect(await subject.ask(neighbour.host)).toBe(subject.upstreams[1].name);
      expect((await ingress.list()).sort()).toEqual([route.id, neighbour.id].sort());
    });

    it("leaves nothing of a first route that Nginx refuses", async () => {
      const route = makeRoute();
      await expect(ingress.put(subject.refusable(route))).rejects.toMatchObject({ code: "ingress_rejected" });
      expect(await ingress.list()).toEqual([]);
      await ingress.put(route);
      expect(await subject.ask(route.host)).toBe(subject.upstreams[0].name);
    });

    it("refuses values that could mean something else to Nginx", async () => {
      const route = makeRoute();
      const hostile: Route[] = [
        { ...route, id: "../evil" },
        { ...route, id: "00-generation" },
        { ...route, host: "a.localhost; return 200" },
        { ...route, host: "*.localhost" },
        { ...route, host: "UPPER.localhost" },
        { ...route, address: "127.0.0.1" },
        { ...route, address: "app" },
        { ...route, port: 0 },
        { ...route, port: 80.5 },
      ];
      for (const bad of hostile) await expect(ingress.put(bad)).rejects.toMatchObject({ code: "ingress_rejected" });
      expect(await ingress.list()).toEqual([]);
    });

    it("removes routes that nobody knows, reports them, and keeps the known ones and somebody else's file", async () => {
      const [known, forgotten] = [makeRoute(0), makeRoute(1)];
      await Promise.all([ingress.put(known), ingress.put(forgotten)]);
      await subject.addStray("somebody-elses.conf");
      const removed = await ingress.removeStrays(new Set([known.id]));
      expect(removed).toEqual([`${forgotten.id}.conf`]);
      expect(await ingress.removeStrays(new Set([known.id]))).toEqual([]);
      expect(await subject.ask(known.host)).toBe(subject.upstreams[0].name);
      expect(await subject.ask(forgotten.host)).toBe(null);
    });

    it("says that it is well while Nginx answers", async () => {
      expect(await ingress.check()).toEqual({ ok: true, detail: expect.any(String) });
    });

    describe("while Nginx is down", () => {
      it("says so, refuses new routes, takes old ones away, and is right again once Nginx is back", async () => {
        const [kept, removed, late] = [makeRoute(0), makeRoute(0), makeRoute(1)];
        await Promise.all([ingress.put(kept), ingress.put(removed)]);
        await subject.stop();
        try {
          expect(await ingress.check()).toEqual({ ok: false, detail: expect.any(String) });
          await expect(ingress.put(late)).rejects.toMatchObject({ code: "ingress_unavailable", status: 503 });
          await expect(ingress.put({ ...kept, port: 1 })).rejects.toMatchObject({ code: "ingress_unavailable" });
          await ingress.remove(removed.id);
          expect(await ingress.list()).toEqual([kept.id]);
        } finally {
          await subject.start();
        }
        expect(await ingress.check()).toMatchObject({ ok: true });
        expect(await subject.ask(kept.host)).toBe(subject.upstreams[0].name);
        expect(await subject.ask(removed.host)).toBe(null);
        await ingress.put(late);
        expect(await subject.ask(late.host)).toBe(subject.upstreams[1].name);
      });
    });
  });
}
