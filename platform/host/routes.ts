import { readFile } from "node:fs/promises";

/**
 * The IPv4 ranges that this machine's main routing table leads somewhere, as CIDR, default routes left out.
 * Linux only; none where there is no such table to read (proc(5), /proc/net/route).
 */
export async function machineRoutes(table = "/proc/net/route"): Promise<string[]> {
  const text = await readFile(table, "utf8").catch(() => "");
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"))
    .flatMap(([, destination, , , , , , mask]) => {
      if (destination === undefined || mask === undefined) return [];
      const prefix = ones(Number.parseInt(mask, 16));
      return prefix === 0 ? [] : [`${dotted(destination)}/${prefix}`];
    });
}

/** Hexadecimal in the machine's byte order, which is little-endian wherever this runs. */
function dotted(hex: string): string {
  return (hex.match(/../g) ?? [])
    .map((byte) => Number.parseInt(byte, 16))
    .toReversed()
    .join(".");
}

function ones(mask: number): number {
  return mask.toString(2).replaceAll("0", "").length;
}
