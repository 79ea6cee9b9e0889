import { describeError } from "../domain/errors.ts";
import type { Context } from "./context.ts";

/** One part of the platform: well, or why not. */
export type PartHealth = { ok: boolean; detail: string };

export type PlatformHealth = {
  status: "ok" | "failing";
  parts: Record<"engine" | "ingress" | "store" | "loops", PartHealth>;
};

/** Asks every part the platform cannot do without. `loops` is passed in, since they sit above the use-cases. */
export async function platformHealth(
  { engine, ingress, environments }: Context,
  loops: PartHealth,
): Promise<PlatformHealth> {
  const [engineHealth, ingressHealth, store] = await Promise.all([
    part(async () => ({ ok: true, detail: `Docker ${(await engine.info()).version}` })),
    part(() => ingress.check()),
    part(() => environments.check()),
  ]);
  const parts = { engine: engineHealth, ingress: ingressHealth, store, loops };
  return { status: Object.values(parts).every(({ ok }) => ok) ? "ok" : "failing", parts };
}

async function part(look: () => Promise<PartHealth>): Promise<PartHealth> {
  try {
    return await look();
  } catch (error) {
    return { ok: false, detail: describeError(error) };
  }
}
