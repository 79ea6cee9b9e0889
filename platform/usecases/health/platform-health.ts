import { judgeFirewall } from "../../domain/firewall-heartbeat.ts";
import type { Firewall } from "../../host/firewall-heartbeat-file.ts";
import type { Clock } from "../../kernel/clock.ts";
import { delay } from "../../kernel/delay.ts";
import { describeError } from "../../kernel/errors.ts";
import type { Router } from "../../routing/router.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { TokenStore } from "../../store/tokens/token-store.ts";
import type { NetworkPool, Workloads } from "../../workloads/workloads.ts";
import type { DiskPressure } from "../environments/disk-pressure.ts";
import type { WarmPool } from "../pool/warm-pool.ts";

/** One part of the platform: well, or why not. */
export type PartHealth = { ok: boolean; detail: string };

export type PlatformHealth = {
  status: "ok" | "failing";
  /** `tokens` where there are any. */
  parts: Record<"engine" | "ingress" | "store" | "firewall" | "loops" | "warm_pool", PartHealth> & {
    tokens?: PartHealth;
  };
};

export type PlatformHealthDeps = {
  workloads: Pick<Workloads, "info">;
  router: Pick<Router, "check">;
  environments: Pick<EnvironmentStore, "check">;
  disk: Pick<DiskPressure, "health">;
  firewall: Firewall;
  tokens: TokenStore | null;
  pool: Pick<WarmPool, "stats">;
  networkPool: Pick<NetworkPool, "stats">;
  clock: Pick<Clock, "now">;
  instance: string;
};

/** A part that gives no answer for so long is not well. */
const PART_LIMIT_MS = 3_000;

/** Asks every part that the platform needs, 3 s at most. The caller passes `loops`, which are a layer above. */
export type ReadPlatformHealth = (loops: PartHealth) => Promise<PlatformHealth>;

export function createPlatformHealth(deps: PlatformHealthDeps): ReadPlatformHealth {
  const { workloads, router, environments, disk, firewall, tokens, clock, instance } = deps;

  async function engineHealth(): Promise<PartHealth> {
    const { kind, version } = await workloads.info();
    return { ok: true, detail: `${kind} ${version}` };
  }

  async function storeHealth(): Promise<PartHealth> {
    const [writable, free] = await Promise.all([environments.check(), disk.health()]);
    return { ok: writable.ok && free.ok, detail: `${writable.detail}; ${free.detail}` };
  }

  /** Always well: with empty pools creations only take longer. */
  function poolHealth(): PartHealth {
    const [warm, networks] = [deps.pool.stats(), deps.networkPool.stats()];
    const counts = `${warm.ready} of ${warm.wanted} environments and ${networks.ready} of ${networks.wanted} networks are ready`;
    const errors = [...new Set([warm.lastError, networks.lastError])].filter((error) => error !== null);
    return { ok: true, detail: [counts, ...errors].join("; ") };
  }

  return async (loops) => {
    const [engine, ingress, store, rules] = await Promise.all([
      part(engineHealth),
      part(() => router.check()),
      part(storeHealth),
      part(async () => judgeFirewall(await firewall.lastHeartbeat(), clock.now(), instance)),
    ]);
    const parts = {
      engine,
      ingress,
      store,
      firewall: rules,
      loops,
      warm_pool: poolHealth(),
      ...(tokens === null ? {} : { tokens: await part(() => tokens.health()) }),
    };
    return { status: Object.values(parts).every(({ ok }) => ok) ? "ok" : "failing", parts };
  };
}

async function part(look: () => Promise<PartHealth>): Promise<PartHealth> {
  const answered = new AbortController();
  try {
    return await Promise.race([look(), silence(answered.signal)]);
  } catch (error) {
    return { ok: false, detail: describeError(error) };
  } finally {
    answered.abort();
  }
}

async function silence(signal: AbortSignal): Promise<PartHealth> {
  await delay(PART_LIMIT_MS, signal);
  return { ok: false, detail: `no answer within ${PART_LIMIT_MS / 1000} s` };
}
