import { judgeFirewall } from "../../domain/firewall-heartbeat.ts";
import type { Firewall } from "../../host/firewall-heartbeat-file.ts";
import { delay } from "../../kernel/delay.ts";
import { describeError } from "../../kernel/errors.ts";
import type { TokenStore } from "../../store/tokens/token-store.ts";
import type { NetworkPool } from "../../workloads/workloads.ts";
import type { Needs } from "../deps.ts";
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

type PlatformHealthDeps = Needs<"workloads" | "router" | "environments" | "clock"> & {
  disk: Pick<DiskPressure, "health">;
  firewall: Firewall;
  tokens: TokenStore | null;
  pool: Pick<WarmPool, "stats">;
  networkPool: Pick<NetworkPool, "stats">;
  instance: string;
  /** A part that gives no answer for so long is not well. */
  partLimitMs?: number;
};

/** Asks every part that the platform needs, 3 s at most. The caller passes `loops`, which are a layer above. */
export function createPlatformHealth(deps: PlatformHealthDeps) {
  const { workloads, router, environments, disk, firewall, tokens, clock, instance, partLimitMs = 3_000 } = deps;

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

  async function part(look: () => Promise<PartHealth>): Promise<PartHealth> {
    const answered = new AbortController();
    const silence = delay(partLimitMs, answered.signal);
    try {
      const late = { ok: false, detail: `no answer within ${partLimitMs / 1000} s` };
      return await Promise.race([look(), silence.then(() => late)]);
    } catch (error) {
      return { ok: false, detail: describeError(error) };
    } finally {
      answered.abort();
    }
  }

  return async (loops: PartHealth): Promise<PlatformHealth> => {
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
