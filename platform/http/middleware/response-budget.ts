import type { Request, Response } from "express";
import PQueue from "p-queue";
import { createConcurrencyLimit } from "./concurrency-limit.ts";
import { callerKey } from "./rate-limit.ts";

/** Bytes of responses that clients have not read yet: eight of the largest for one caller. */
const LIMITS = { each: 64 * 2 ** 20, all: 192 * 2 ** 20 };
const RENDERED_AT_ONCE = 4;
const REFUSAL = {
  detail:
    "Cannot send so much: too much was asked for before and has not been read. Read those answers or close their connections, or ask for less (lines=, grep=).",
  retryAfter: 60,
};

/** Bounds the memory of large responses: each is held whole until its client has read it, for up to a minute. */
export type ResponseBudget = {
  /**
   * Renders a text and sends it. Four are rendered at once and the others wait, since the size is known only afterwards.
   * `too_many_requests` when callers have too many bytes unread.
   */
  send(request: Request, response: Response, type: string, render: () => Promise<string>): Promise<void>;
};

export function createResponseBudget(limits: { each: number; all: number } = LIMITS): ResponseBudget {
  const unread = createConcurrencyLimit(limits, REFUSAL);
  const queue = new PQueue({ concurrency: RENDERED_AT_ONCE });
  return {
    async send(request, response, type, render) {
      const text = await queue.add(() => (response.closed ? null : render()));
      if (text === null || response.closed) return;
      response.once("close", unread.acquire(callerKey(request, response), Buffer.byteLength(text)));
      response.type(type).send(text);
    },
  };
}
