import { describeError } from "../../kernel/errors.ts";
import type { IdleQueue } from "../../kernel/idle-queue.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { EnvironmentNetwork } from "./environment-network.ts";

export type NetworkPoolOptions = {
  /** Networks to keep ready. */
  size: () => number;
  idle: Pick<IdleQueue, "run">;
  /** Chooses the next network. */
  plan(): EnvironmentNetwork;
  /** Makes it, with the edge proxy on it. */
  make(network: EnvironmentNetwork): Promise<void>;
  /** Removes one; never throws. */
  discard(network: EnvironmentNetwork): Promise<void>;
  /** Why no network may be made now, such as a full disk; null when one may. */
  refusal(): Promise<string | null>;
  logger: Pick<Logger, "warn">;
};

type Entry = { network: EnvironmentNetwork; state: "changing" | "ready" | "detached" };

/** Keeps networks ready for the next environments, since making one takes Docker a third of a create. */
export function createNetworkPool(options: NetworkPoolOptions) {
  const { size, idle, plan, make, discard, refusal, logger } = options;
  const entries = new Map<string, Entry>();
  let filling: Promise<void> | null = null;
  let lastError: string | null = null;

  async function fill(): Promise<void> {
    try {
      while (entries.size < size()) if ((await idle.run(makeOne)) !== true) return;
      lastError = null;
    } catch (error) {
      lastError = describeError(error);
      logger.warn({ reason: lastError }, "cannot make a network for the pool; trying again in a minute");
    }
  }

  async function makeOne(): Promise<boolean> {
    lastError = await refusal();
    if (lastError !== null) return false;
    const entry: Entry = { network: plan(), state: "changing" };
    entries.set(entry.network.name, entry);
    try {
      await make(entry.network);
    } catch (error) {
      await remove(entry);
      throw error;
    }
    entry.state = "ready";
    return true;
  }

  async function remove(entry: Entry): Promise<void> {
    entry.state = "changing";
    await discard(entry.network);
    entries.delete(entry.network.name);
  }

  const ready = () => [...entries.values()].filter(({ state }) => state === "ready");

  return {
    /** A network that is ready, which the caller owns from then on; null when there is none. */
    acquire(): EnvironmentNetwork | null {
      const network = ready()[0]?.network ?? null;
      if (network !== null) entries.delete(network.name);
      return network;
    },
    /** Whether the pool has a network of this name, or is making or removing it. */
    has: (name: string) => entries.has(name),
    /** The edge proxy joined or left a network: without it the network is given to no environment. */
    setAttached(name: string, attached: boolean): void {
      const entry = entries.get(name);
      if (entry !== undefined && entry.state !== "changing") entry.state = attached ? "ready" : "detached";
    },
    /** Discards the networks that are not intact. */
    async reconcile(isIntact: (network: EnvironmentNetwork) => boolean): Promise<void> {
      const broken = [...entries.values()].filter(({ network, state }) => state !== "changing" && !isIntact(network));
      await Promise.all(broken.map(remove));
    },
    refill(): void {
      filling ??= fill().finally(() => {
        filling = null;
      });
    },
    refusal,
    /** Resolves when no refill is in progress. */
    whenIdle: async () => void (await filling),
    stats: () => ({ ready: ready().length, wanted: size(), lastError }),
  };
}
