import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LOOK_MS = 50;

/** A clock that a test sets, for an API that runs as a process and is started with `settings`. */
export function movableClock(folder: string): { settings: Record<string, string>; set(offMs: number): void } {
  const file = join(folder, "clock-off-by");
  const set = (offMs: number) => writeFileSync(file, String(offMs));
  set(0);
  return { settings: { NODE_OPTIONS: `--import ${import.meta.url}`, CLOCK_OFF_BY_FILE: file }, set };
}

// In that process, where this is loaded before anything else, the clock is off by as much as the file says.
// Timers and performance.now go on as they do when somebody sets a machine's clock.
const file = process.env["CLOCK_OFF_BY_FILE"];
if (file !== undefined) replaceDate(file);

function replaceDate(path: string): void {
  const TrueDate = Date;
  let offMs = 0;
  setInterval(() => (offMs = Number(readFileSync(path, "utf8"))), LOOK_MS).unref();
  globalThis.Date = class extends TrueDate {
    constructor(...parts: [] | ConstructorParameters<typeof TrueDate>) {
      if (parts.length === 0) super(TrueDate.now() + offMs);
      else super(...parts);
    }
    static override now(): number {
      return TrueDate.now() + offMs;
    }
  } as DateConstructor;
}
