import { once } from "node:events";
import type { Response } from "express";

const HEARTBEAT_MS = 15_000;
/** A client that reads nothing for so long counts as gone, though its connection may be open. */
const STALL_LIMIT_MS = 60_000;

export type StreamRules = {
  /** Asked at every heartbeat: whether the client may still read the stream. */
  mayStay?: () => Promise<boolean>;
  heartbeatMs?: number;
  stallLimitMs?: number;
};

/** One server-sent event. Data with line breaks becomes several `data:` lines, as the standard wants. */
export type ServerSentEvent = { event?: string; id?: string; data: string };

/** The wire form of an event (HTML standard, section 9.2). */
export function formatEvent({ event, id, data }: ServerSentEvent): string {
  const head = `${event === undefined ? "" : `event: ${event}\n`}${id === undefined ? "" : `id: ${id}\n`}`;
  const body = data
    .split(/\r\n|\r|\n/)
    .map((line) => `data: ${line}\n`)
    .join("");
  return `${head}${body}\n`;
}

/**
 * Streams events until the source ends, the client leaves or may not stay, or the platform stops. Waits for a slow
 * client instead of buffering, and drops a client that reads nothing for `stallLimitMs`; a comment every 15 s keeps
 * proxies from giving up.
 */
export async function streamEvents(
  response: Response,
  stopping: AbortSignal,
  source: (signal: AbortSignal) => AsyncIterable<ServerSentEvent>,
  { mayStay = async () => true, heartbeatMs = HEARTBEAT_MS, stallLimitMs = STALL_LIMIT_MS }: StreamRules = {},
): Promise<void> {
  const [gone, refused] = [new AbortController(), new AbortController()];
  response.on("close", () => gone.abort());
  const signal = AbortSignal.any([gone.signal, refused.signal, stopping]);
  response.status(200).set({
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
  });
  response.flushHeaders();
  response.write("retry: 1000\n\n");
  const beat = async () => {
    if (!(await mayStay())) refused.abort();
    else if (!signal.aborted && !response.writableEnded && !response.writableNeedDrain)
      response.write(": still here\n\n");
  };
  // A failing check ends the stream, too.
  const heartbeat = setInterval(() => void beat().catch(() => refused.abort()), heartbeatMs);
  try {
    for await (const event of source(signal)) {
      if (signal.aborted) break;
      if (!response.write(formatEvent(event))) await drained(response, signal, stallLimitMs);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(heartbeat);
  }
  // A stalled client would not read the last event either, and would keep the platform from stopping.
  if (response.writableNeedDrain) response.destroy();
  else if (!gone.signal.aborted) response.end(formatEvent({ event: "end", data: reasonOf(stopping, refused.signal) }));
}

function reasonOf(stopping: AbortSignal, refused: AbortSignal): string {
  if (refused.aborted) return "token revoked";
  return stopping.aborted ? "platform stopping" : "ended";
}

/** Resolves when the client has read the buffer; rejects when `signal` aborts, also because the client stalled. */
async function drained(response: Response, signal: AbortSignal, stallLimitMs: number): Promise<void> {
  const timer = setTimeout(() => response.destroy(), stallLimitMs);
  try {
    await once(response, "drain", { signal });
  } finally {
    clearTimeout(timer);
  }
}
