import type { Request, Response } from "express";
import { PlatformError } from "../../kernel/errors.ts";
import type { Context } from "../../usecases/context.ts";
import { createConcurrencyLimit } from "../middleware/concurrency-limit.ts";
import { bearerToken, callerOf } from "../middleware/caller.ts";
import { streamEvents, type ServerSentEvent } from "./event-stream.ts";
import { callerKey } from "../middleware/rate-limit.ts";

/** Who stalls while following a log costs less than half a mebibyte: all of them, a quarter of what the API may use. */
const OPEN_AT_ONCE = { each: 100, all: 500 };
const RETRY_AFTER_S = 15;

/** The event streams that are open, whichever path they are of. */
export type Streams = {
  /** Streams to the caller until the source ends, the client goes, the platform stops or the token is not what it was. */
  open(
    request: Request,
    response: Response,
    source: (signal: AbortSignal) => AsyncIterable<ServerSentEvent>,
  ): Promise<void>;
};

/** At most a hundred at once of one caller, and five hundred in all: a stream is held open for as long as its client likes. */
export function createStreams(
  { tokens, stopping }: Pick<Context, "tokens" | "stopping">,
  { openAtOnce = OPEN_AT_ONCE, ...rules }: { openAtOnce?: typeof OPEN_AT_ONCE; heartbeatMs?: number } = {},
): Streams {
  const limit = createConcurrencyLimit(openAtOnce);

  /** A stream outlives the look at its token: somebody may revoke it, or give it another role. */
  async function mayStay(request: Request, response: Response): Promise<boolean> {
    if (tokens === null) return true;
    const [token, then] = [bearerToken(request), callerOf(response)];
    const now = token === null ? null : await tokens.identify(token);
    return now !== null && now.name === then.name && now.role === then.role;
  }

  return {
    async open(request, response, source) {
      const close = limit.acquire(callerKey(request, response), 1);
      if (close === null) throw tooMany(openAtOnce);
      try {
        await streamEvents(response, stopping, source, { mayStay: () => mayStay(request, response), ...rules });
      } finally {
        close();
      }
    },
  };
}

function tooMany({ each, all }: typeof OPEN_AT_ONCE): PlatformError {
  return new PlatformError(
    "too_many_requests",
    `Cannot open another event stream: this caller has ${each} open, or all callers together ${all}. Close one, or try again later.`,
    { headers: { "Retry-After": String(RETRY_AFTER_S) } },
  );
}
