import { PlatformError } from "../../kernel/errors.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import type { Router, Route } from "../../routing/router.ts";
import { renderServerBlock } from "../../routing/nginx/server-block.ts";

export type FakeRouter = Router & {
  /**
   * Where a request for this host goes now; null: no environment found, or Nginx is down. Probes come in on the internal
   * port, where no route is disabled.
   */
  routeOf(host: string, port?: "public" | "internal"): Route | null;
  /** The next upsert is refused, as Nginx refuses a configuration. */
  rejectNext(reason: string): void;
  /** Whether it carries a request. */
  setBusy(busy: boolean): void;
  /** Whether Nginx runs. Starting again, it reads the files that are there then. */
  setDown(down: boolean): void;
  /** Puts a foreign file into the folder. */
  addForeign(file: string): void;
  hasForeign(file: string): boolean;
};

/** A router in memory: the same checks and the same outcomes, without Nginx or files. */
export function createFakeRouter(): FakeRouter {
  const routes = new Map<string, Route>();
  const foreign = new Set<string>();
  const enabled = new Set<string>();
  let serving = new Map<string, Route>();
  let rejection: string | null = null;
  let down = false;
  let busy = false;

  function serve(): void {
    if (!down) serving = new Map([...routes.values()].map((route) => [route.host, route]));
  }

  return {
    async upsert(route) {
      renderServerBlock(route, { address: "10.171.0.2", denied: [] });
      await Promise.resolve();
      const reason = rejection;
      rejection = null;
      if (reason !== null) throw new PlatformError("ingress_rejected", `Cannot route "${route.id}.conf": ${reason}`);
      if (down)
        throw new PlatformError("ingress_unavailable", `Cannot route "${route.id}.conf": Nginx does not answer.`);
      routes.set(route.id, route);
      serve();
    },
    async enable(id) {
      await Promise.resolve();
      if (isEnvironmentId(id)) enabled.add(id);
    },
    async disable(id) {
      enabled.delete(id);
      return down || busy ? "busy" : "idle";
    },
    async remove(id) {
      enabled.delete(id);
      await Promise.resolve();
      routes.delete(id);
      serve();
    },
    list: async () => [...routes.values()].map((route) => ({ ...route, enabled: enabled.has(route.id) })),
    async removeStrays(known) {
      foreign.clear();
      const strays = [...routes.keys()].filter((id) => !known.has(id));
      for (const id of strays) routes.delete(id);
      for (const id of enabled) if (!known.has(id)) enabled.delete(id);
      serve();
      return strays.map((id) => `${id}.conf`);
    },
    async quarantineForeign() {
      const found = [...foreign];
      foreign.clear();
      return found;
    },
    check: async () => ({ ok: !down, detail: down ? "Nginx does not answer" : "Nginx answers" }),
    routeOf(host, port = "public") {
      const route = down ? undefined : serving.get(host);
      return route !== undefined && (port === "internal" || enabled.has(route.id)) ? route : null;
    },
    rejectNext(reason) {
      rejection = reason;
    },
    setBusy(value) {
      busy = value;
    },
    setDown(value) {
      down = value;
      serve();
    },
    addForeign: (file) => void foreign.add(file),
    hasForeign: (file) => foreign.has(file),
  };
}
