import { describeError } from "../../kernel/errors.ts";
import { judgeFirewall } from "../../domain/firewall-heartbeat.ts";
import { delay } from "../../kernel/delay.ts";
import type { Context } from "../context.ts";
import { diskHealth } from "../environments/disk-pressure.ts";
import { warmImages } from "../pool/warm-pool.ts";

/** One part of the platform: well, or why not. */
export type PartHealth = { ok: boolean; detail: string };

export type PlatformHealth = {
  status: "ok" | "failing";
  /** `tokens` where there are any. */
  parts: Record<"engine" | "ingress" | "store" | "firewall" | "loops" | "ahead", PartHealth> & { tokens?: PartHealth };
};

/** A part that says nothing for so long is not well. */
const PART_LIMIT_MS = 3_000;

/**
 * Asks every part the platform cannot do without, 3 s at most. `loops` is passed in, since they sit
 * above the use-cases.
 */
export async function platformHealth(context: Context, loops: PartHealth): Promise<PlatformHealth> {
  const { engine, router, tokens } = context;
  const [engineHealth, ingressHealth, store, firewall] = await Promise.all([
    part(async () => ({ ok: true, detail: `Docker ${(await engine.info()).version}` })),
    part(() => router.check()),
    part(() => storeHealth(context)),
    part(() => firewallHealth(context)),
  ]);
  const parts = {
    engine: engineHealth,
    ingress: ingressHealth,
    store,
    firewall,
    loops,
    ahead: aheadHealth(context),
    ...(tokens === null ? {} : { tokens: await part(() => tokens.health()) }),
  };
  return { status: Object.values(parts).every(({ ok }) => ok) ? "ok" : "failing", parts };
}

async function storeHealth(context: Context): Promise<PartHealth> {
  const [writable, disk] = await Promise.all([context.environments.check(), diskHealth(context)]);
  return { ok: writable.ok && disk.ok, detail: `${writable.detail}; ${disk.detail}` };
}

async function firewallHealth({ firewall, clock, settings }: Context): Promise<PartHealth> {
  return judgeFirewall(await firewall.lastHeartbeat(), clock.now(), settings.instance);
}

/** How much is made ahead. Always well: without it creations only take longer. */
function aheadHealth({ ahead, settings }: Context): PartHealth {
  const spares = ahead.spares.filter(({ state }) => state === "ready").length;
  const wanted = warmImages({ settings }).length * settings.warmPoolSize;
  const networks = ahead.networks.length - ahead.withoutIngress.size;
  const counts = `${spares} of ${wanted} environments and ${networks} of ${settings.networkPoolSize} networks are ready`;
  return { ok: true, detail: ahead.trouble === null ? counts : `${counts}; ${ahead.trouble}` };
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
