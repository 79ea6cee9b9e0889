import { readFile } from "node:fs/promises";

/**
 * Reads the IPv4 ranges of this machine's main routing table, as CIDR, without default routes (proc(5), /proc/net/route).
 * Linux only: without a readable table there are none.
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

/** `hex` is in the machine's byte order, which is little-endian on every supported machine. */
function dotted(hex: string): string {
  return (hex.match(/../g) ?? [])
    .map((byte) => Number.parseInt(byte, 16))
    .toReversed()
    .join(".");
}

function ones(mask: number): number {
  return mask.toString(2).replaceAll("0", "").length;
}
