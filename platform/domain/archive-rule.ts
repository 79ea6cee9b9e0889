/** One destroyed environment's logs. */
export type Archive = {
  id: string;
  bytes: number;
  /** When something was last written there, milliseconds since the epoch. */
  lastWritten: number;
};

/** Why an archive goes: too old, more than all may take together, or the disk is nearly full. */
export type PruneReason = "age" | "size" | "disk";

export type ArchiveLimits = {
  /** Seconds. */
  maxAge: number;
  /** Bytes of all archives together. */
  maxSize: number;
};

/**
 * Which archives to drop, oldest first: those older than `maxAge`, then as many as it takes until the rest fits into
 * `maxSize` and `missingBytes` more are free on the disk. `now` in milliseconds.
 */
export function chooseArchives(
  archives: readonly Archive[],
  { maxAge, maxSize }: ArchiveLimits,
  missingBytes: number,
  now: number,
): { archive: Archive; reason: PruneReason }[] {
  let total = archives.reduce((sum, { bytes }) => sum + bytes, 0);
  let missing = missingBytes;
  const chosen: { archive: Archive; reason: PruneReason }[] = [];
  for (const archive of archives.toSorted((a, b) => a.lastWritten - b.lastWritten || (a.id < b.id ? -1 : 1))) {
    const reason = reasonFor(archive.lastWritten < now - maxAge * 1000, total > maxSize, missing > 0);
    // Of the rest none is older, and neither the size nor the free space changes any more.
    if (reason === null) break;
    chosen.push({ archive, reason });
    total -= archive.bytes;
    missing -= archive.bytes;
  }
  return chosen;
}

function reasonFor(tooOld: boolean, tooMuch: boolean, diskLow: boolean): PruneReason | null {
  if (tooOld) return "age";
  if (tooMuch) return "size";
  return diskLow ? "disk" : null;
}
