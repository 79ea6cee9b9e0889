import { readFile } from "node:fs/promises";

/** The kernel's clock ticks a second, which are 100 wherever Linux runs Node. */
const TICKS = 100;

/** Memory that a process of this machine holds now, in MB of 2^20 bytes. */
export async function residentMegabytes(pid: number): Promise<number> {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error(`Cannot read the memory of process ${pid}: it has none any more`);
  return Number(kilobytes) / 1024;
}

/** CPU time that a process has used so far, in seconds. */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name, in brackets, may hold blanks; utime and stime are the 14th and 15th field of all.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}
