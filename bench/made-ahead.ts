import { z } from "zod";

/** How much a platform has made ahead, and how much it wants. */
export type MadeAhead = { spares: number; sparesWanted: number; networks: number; networksWanted: number };

const HealthSchema = z.object({ parts: z.object({ ahead: z.object({ detail: z.string() }) }) });
const DETAIL = /^(\d+) of (\d+) environments and (\d+) of (\d+) networks are ready/;

/** What the answer of `GET /healthz` says of it; null where that says nothing. */
export function readMadeAhead(health: unknown): MadeAhead | null {
  const detail = HealthSchema.safeParse(health).data?.parts.ahead.detail ?? "";
  const numbers = DETAIL.exec(detail)?.slice(1).map(Number);
  if (numbers === undefined) return null;
  const [spares = 0, sparesWanted = 0, networks = 0, networksWanted = 0] = numbers;
  return { spares, sparesWanted, networks, networksWanted };
}

export function isFull({ spares, sparesWanted, networks, networksWanted }: MadeAhead): boolean {
  return spares >= sparesWanted && networks >= networksWanted;
}
