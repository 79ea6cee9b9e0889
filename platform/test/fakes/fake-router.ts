import { PlatformError } from "../../kernel/errors.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import type { Router, Route } from "../../routing/router.ts";
import { renderServerBlock } from "../../routing/nginx/server-block.ts";

export type FakeRouter = Router & {
  /**
   * Where a request for this host goes now; null: no environment found, or the front door is down. Probes come
   * in by the internal door, which has no gate.
   */
  routeOf(host: string, door?: "front" | "internal"): Route | null;
  /** The next put is refused, as Nginx refuses a configuration. */
  rejectNext(reason: string): void;
  /** Whether it carries a request. */
  setBusy(busy: boolean): void;
  /** Whether Nginx runs. Starting again, it reads the files that are there then. */
  setDown(down: boolean): void;
  /** Puts a file in the folder behind everybody's back. */
  addStray(file: string): void;
};

/** A front door in memory: the same checks and the same outcomes, without Nginx or files. */
export function createFakeRouter(): FakeRouter {
  const files = new Map<string, Route | null>();
  const gates = new Set<string>();
  let serving = new Map<string, Route>();
  let rejection: string | null = null;
  let down = false;
  let busy = false;

  function serve(): void {
    if (down) return;
    serving = new Map([...files.values()].filter((route) => route !== null).map((route) => [route.host, route]));
  }

  return {
    async upsert(route) {
      renderServerBlock(route, { address: "10.171.0.2", denied: [] });
      await Promise.resolve();
      const reason = rejection;
      rejection = null;
      if (reason !== null) throw new PlatformError("ingress_rejected", `Cannot route "${fileOf(route.id)}": ${reason}`);
      if (down)
        throw new PlatformError("ingress_unavailable", `Cannot route "${fileOf(route.id)}": Nginx does not answer.`);
      files.set(fileOf(route.id), route);
      serve();
    },
    async enable(id) {
      await Promise.resolve();
      if (isEnvironmentId(id)) gates.add(id);
    },
    async disable(id) {
      gates.delete(id);
      return down || busy ? "busy" : "idle";
    },
    async remove(id) {
      gates.delete(id);
      await Promise.resolve();
      files.delete(fileOf(id));
      serve();
    },
    async list() {
      const routes = [...files.values()].filter((route) => route !== null);
      return routes.map((route) => ({ ...route, enabled: gates.has(route.id) }));
    },
    async removeStrays(known) {
      const strays = [...files.keys()].filter((file) => {
        const id = file.slice(0, -".conf".length);
        return isEnvironmentId(id) && !known.has(id);
      });
      for (const file of strays) files.delete(file);
      for (const id of gates) if (!known.has(id)) gates.delete(id);
      serve();
      return strays;
    },
    async rescue(helps) {
      const foreign = [...files.keys()].filter((file) => !isEnvironmentId(file.slice(0, -".conf".length)));
      for (const file of foreign) files.delete(file);
      if (foreign.length === 0) return foreign;
      const isHelped = await helps();
      if (!isHelped) for (const file of foreign) files.set(file, null);
      return isHelped ? foreign : [];
    },
    check: async () => ({ ok: !down, detail: down ? "Nginx does not answer" : "Nginx answers" }),
    routeOf(host, door = "front") {
      const route = down ? undefined : serving.get(host);
      return route !== undefined && (door === "internal" || gates.has(route.id)) ? route : null;
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
    addStray(file) {
      files.set(file, null);
    },
  };
}

function fileOf(id: string): string {
  return `${id}.conf`;
}
