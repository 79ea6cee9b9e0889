import type { Logger } from "../../kernel/logger.ts";
import type { LogLine, LogOptions, ServiceRef, Workloads } from "../../workloads/workloads.ts";

const LINES = 20;
const WAIT_MS = 2_000;
/** Bytes of a line that the engine counts as one of its `tail`. */
const PIECE_BYTES = 16_384;
/** As much as that many pieces hold; a line that is read again from where it began may have no end. */
const MAX_LENGTH = LINES * PIECE_BYTES;
const TOO_LONG = `[a line of more than ${MAX_LENGTH} characters]`;

type LastLogLinesDeps = { workloads: Pick<Workloads, "logs">; logger: Pick<Logger, "debug"> };

export type LastLogLines = ReturnType<typeof createLastLogLines>;

/**
 * The last lines a service wrote, straight from the engine; none when it cannot tell. Each line is whole, so that the
 * masking of secrets finds them: a line in pieces is put together, and a line that may have begun before the first
 * piece is read again from its beginning.
 */
export function createLastLogLines({ workloads, logger }: LastLogLinesDeps) {
  return async (ref: ServiceRef): Promise<string[]> => {
    const options = { follow: false, signal: AbortSignal.timeout(WAIT_MS) };
    const [end, all] = [createAssembly(), createAssembly()];
    const read = async (assembly: Assembly, from: Partial<LogOptions>): Promise<void> => {
      for await (const batch of workloads.logs(ref, { ...options, ...from })) batch.forEach(assembly.add);
    };
    try {
      await read(end, { tail: LINES });
      // All pieces of a line bear its timestamp.
      const since = end.since();
      if (since === null) return end.lines();
      await read(all, { since });
      if (!options.signal.aborted) return all.lines();
    } catch (error) {
      logger.debug({ err: error, env_id: ref.env }, "no last log lines, or not all");
    }
    return end.lines({ certain: true });
  };
}

type Assembly = ReturnType<typeof createAssembly>;

/** Puts lines together from their pieces and keeps the last ones. */
function createAssembly() {
  const begun = { stdout: "", stderr: "" };
  /** The first line of each stream: where pieces were left out before it, it may be the rest of one. */
  const firsts = new Map<LogLine["stream"], string>();
  let lines: { text: string; isFirst: boolean }[] = [];
  let pieces = 0;

  return {
    add({ stream, text, timestamp, continued }: LogLine): void {
      pieces += Math.floor((Buffer.byteLength(text) + 2) / PIECE_BYTES) + 1; // at most: with its line end, cut at the worst place
      const isFirst = (firsts.get(stream) ?? timestamp) === timestamp;
      if (isFirst) firsts.set(stream, timestamp);
      const whole = begun[stream] + text;
      begun[stream] = continued === true ? whole.slice(0, MAX_LENGTH + 1) : "";
      if (continued === true) return;
      lines = [...lines, { text: whole.length > MAX_LENGTH ? TOO_LONG : whole, isFirst }].slice(-LINES);
    },
    /** The last lines. `certain`: none that may have begun before the first piece. */
    lines: ({ certain } = { certain: false }): string[] =>
      lines.filter(({ isFirst }) => !(certain && isFirst && pieces >= LINES)).map(({ text }) => text),
    /** When the first line began that may not be whole; null where there are so few that nothing was left out. */
    since: (): string | null => (pieces < LINES ? null : ([...firsts.values()].toSorted()[0] ?? null)),
  };
}
