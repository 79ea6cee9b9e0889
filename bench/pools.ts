import { z } from "zod";

type Level = { ready: number; wanted: number };

/** How full the platform's pools of warm environments and of networks are. */
export type Pools = { environments: Level; networks: Level };

const HealthSchema = z.object({ parts: z.record(z.string(), z.object({ detail: z.string() })) });
const DETAIL = /^(\d+) of (\d+) environments and (\d+) of (\d+) networks are ready/;

/** Reads the pools from the answer of `GET /healthz`; null where it does not report them. */
export function readPools(health: unknown): Pools | null {
  const parts = HealthSchema.safeParse(health).data?.parts;
  const numbers = DETAIL.exec(parts?.["warm_pool"]?.detail ?? "")?.slice(1);
  if (numbers === undefined) return null;
  const [environments = 0, environmentsWanted = 0, networks = 0, networksWanted = 0] = numbers.map(Number);
  return {
    environments: { ready: environments, wanted: environmentsWanted },
    networks: { ready: networks, wanted: networksWanted },
  };
}

export function areFull({ environments, networks }: Pools): boolean {
  return [environments, networks].every(({ ready, wanted }) => ready >= wanted);
}
