import type { Request, Response } from "express";
import PQueue from "p-queue";
import { PlatformError } from "../../kernel/errors.ts";
import { createConcurrencyLimit } from "./concurrency-limit.ts";
import { callerKey } from "./rate-limit.ts";

/** Bytes of answers that have not been taken: eight of the largest of one caller. */
const LIMITS = { each: 64 * 2 ** 20, all: 192 * 2 ** 20 };
const MADE_AT_ONCE = 4;
const RETRY_AFTER_S = 60;

/** Answers that are in memory as a whole until their clients have taken them, which a client may put off for a minute. */
export type ResponseBudget = {
  /**
   * Makes a text and sends it. A few are made at once and the others wait for their turn, since nobody knows before how
   * large one is; `too_many_requests` when callers have too much under way.
   */
  send(request: Request, response: Response, type: string, make: () => Promise<string>): Promise<void>;
};

export function createResponseBudget(limits: { each: number; all: number } = LIMITS): ResponseBudget {
  const limit = createConcurrencyLimit(limits);
  const turns = new PQueue({ concurrency: MADE_AT_ONCE });
  return {
    async send(request, response, type, make) {
      const text = await turns.add(() => (response.closed ? null : make()));
      if (text === null || response.closed) return;
      const giveBack = limit.acquire(callerKey(request, response), Buffer.byteLength(text));
      if (giveBack === null) throw tooMuch();
      response.once("close", giveBack);
      response.type(type).send(text);
    },
  };
}

function tooMuch(): PlatformError {
  return new PlatformError(
    "too_many_requests",
    "Cannot send so much: too much was asked for before and has not been read. Read those answers or close their connections, or ask for less (lines=, grep=).",
    { headers: { "Retry-After": String(RETRY_AFTER_S) } },
  );
}
