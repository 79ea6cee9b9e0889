import type { Request, Response } from "express";
import { PlatformError } from "../domain/errors.ts";
import type { Context } from "../usecases/context.ts";
import { bearerToken, callerOf } from "./caller.ts";
import { streamEvents, type ServerSentEvent } from "./event-stream.ts";
import { callerKey } from "./rate-limit.ts";

const OPEN_AT_ONCE = 100;
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

/** At most a hundred at once of one caller: a stream is held open for as long as its client likes. */
export function createStreams(
  { tokens, stopping }: Pick<Context, "tokens" | "stopping">,
  heartbeatMs?: number,
): Streams {
  const open = new Map<string, number>();

  /** A stream outlives the look at its token: somebody may revoke it, or give it another role. */
  async function mayStay(request: Request, response: Response): Promise<boolean> {
    if (tokens === null) return true;
    const [token, then] = [bearerToken(request), callerOf(response)];
    const now = token === null ? null : await tokens.identify(token);
    return now !== null && now.name === then.name && now.role === then.role;
  }

  return {
    async open(request, response, source) {
      const key = callerKey(request, response);
      const count = open.get(key) ?? 0;
      if (count >= OPEN_AT_ONCE) throw tooMany();
      open.set(key, count + 1);
      try {
        await streamEvents(response, stopping, source, {
          mayStay: () => mayStay(request, response),
          ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
        });
      } finally {
        const left = (open.get(key) ?? 1) - 1;
        if (left === 0) open.delete(key);
        else open.set(key, left);
      }
    },
  };
}

function tooMany(): PlatformError {
  return new PlatformError(
    "too_many_requests",
    `Cannot open another event stream: this caller has ${OPEN_AT_ONCE} open. Close one first.`,
    { headers: { "Retry-After": String(RETRY_AFTER_S) } },
  );
}
