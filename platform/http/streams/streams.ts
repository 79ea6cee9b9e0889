import type { Request, Response } from "express";
import type { Identify } from "../middleware/authenticate.ts";
import { bearerToken, callerOf } from "../middleware/caller.ts";
import { createConcurrencyLimit } from "../middleware/concurrency-limit.ts";
import { callerKey } from "../middleware/rate-limit.ts";
import { streamEvents, type ServerSentEvent } from "./event-stream.ts";

/** A stalled log reader costs up to half a mebibyte: 500 of them cost a quarter of the API's memory limit. */
const OPEN_AT_ONCE = { each: 100, all: 500 };
const RETRY_AFTER_S = 15;

export type StreamDeps = {
  /** Null without a tokens file. */
  identify: Identify | null;
  /** Aborts when the platform shuts down. */
  stopping: AbortSignal;
};

/** The open event streams of all paths. */
export type Streams = {
  /** Streams to the caller until the source ends, the client leaves, the platform stops or the token changes. */
  open(
    request: Request,
    response: Response,
    source: (signal: AbortSignal) => AsyncIterable<ServerSentEvent>,
  ): Promise<void>;
};

/** Limits the open streams of each caller and of all: a stream is held for as long as its client likes. */
export function createStreams(
  { identify, stopping }: StreamDeps,
  { openAtOnce = OPEN_AT_ONCE, ...rules }: { openAtOnce?: typeof OPEN_AT_ONCE; heartbeatMs?: number } = {},
): Streams {
  const { each, all } = openAtOnce;
  const detail = `Cannot open another event stream: this caller has ${each} open, or all callers together ${all}. Close one, or try again later.`;
  const limit = createConcurrencyLimit(openAtOnce, { detail, retryAfter: RETRY_AFTER_S });

  /** A stream outlives the check of its token, which may be revoked or given another role meanwhile. */
  async function mayStay(request: Request, response: Response): Promise<boolean> {
    if (identify === null) return true;
    const [token, before] = [bearerToken(request), callerOf(response)];
    const now = token === null ? null : await identify(token);
    return now !== null && now.name === before.name && now.role === before.role;
  }

  return {
    async open(request, response, source) {
      const release = limit.acquire(callerKey(request, response), 1);
      try {
        await streamEvents(response, stopping, source, { mayStay: () => mayStay(request, response), ...rules });
      } finally {
        release();
      }
    },
  };
}
