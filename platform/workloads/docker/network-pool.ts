import { describeError } from "../../kernel/errors.ts";
import type { IdleQueue } from "../../kernel/idle-queue.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { NetworkPool } from "../workloads.ts";
import type { EnvironmentNetwork } from "./environment-network.ts";

export type NetworkPoolOptions = {
  /** How many networks are kept ready. */
  size: () => number;
  idle: Pick<IdleQueue, "run">;
  /** Makes a network with the edge proxy on it. */
  make(): Promise<EnvironmentNetwork>;
  /** Removes one; never throws. */
  discard(network: EnvironmentNetwork): Promise<void>;
  /** Why no network may be made now, such as a full disk; null when one may. */
  refusal(): Promise<string | null>;
  logger: Pick<Logger, "warn">;
};

/** The adapter's own view of its pool. */
export type DockerNetworkPool = NetworkPool & {
  /** A network that is ready, which the caller owns from then on; null when there is none. */
  acquire(): EnvironmentNetwork | null;
  /** Whether a network of this name is in the pool. */
  has(name: string): boolean;
  /** The edge proxy joined or left a network: without it the network is given to no environment. */
  setAttached(name: string, attached: boolean): void;
  /** Discards the networks that are not intact. */
  reconcile(isIntact: (network: EnvironmentNetwork) => boolean): Promise<void>;
  /** Resolves when no refill is in progress. */
  whenIdle(): Promise<void>;
};

/** Keeps networks ready for the next environments, since making one takes Docker a third of a create. */
export function createNetworkPool({
  size,
  idle,
  make,
  discard,
  refusal,
  logger,
}: NetworkPoolOptions): DockerNetworkPool {
  let ready: { network: EnvironmentNetwork; attached: boolean }[] = [];
  let filling: Promise<void> | null = null;
  let lastError: string | null = null;

  async function fill(): Promise<void> {
    while (ready.length < size()) {
      try {
        const made = await idle.run(makeOne);
        if (made !== true) return;
      } catch (error) {
        lastError = describeError(error);
        logger.warn({ reason: lastError }, "cannot make a network for the pool; trying again in a minute");
        return;
      }
    }
    lastError = null;
  }

  async function makeOne(): Promise<boolean> {
    lastError = await refusal();
    if (lastError !== null) return false;
    ready.push({ network: await make(), attached: true });
    return true;
  }

  return {
    acquire() {
      const index = ready.findIndex(({ attached }) => attached);
      return index === -1 ? null : (ready.splice(index, 1)[0]?.network ?? null);
    },
    has: (name) => ready.some(({ network }) => network.name === name),
    setAttached(name, attached) {
      for (const entry of ready) if (entry.network.name === name) entry.attached = attached;
    },
    async reconcile(isIntact) {
      const broken = ready.filter(({ network }) => !isIntact(network));
      ready = ready.filter((entry) => !broken.includes(entry));
      for (const { network } of broken) await discard(network);
    },
    refill() {
      filling ??= fill().finally(() => {
        filling = null;
      });
    },
    refusal,
    async whenIdle() {
      await filling;
    },
    stats: () => ({ ready: ready.filter(({ attached }) => attached).length, wanted: size(), lastError }),
  };
}
