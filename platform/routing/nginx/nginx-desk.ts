import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { openPipe, tellPipe } from "../../host/pipe.ts";

/** What the loop in Nginx's container (nginx/desk.sh) does when it is asked. */
export type DeskVerb = "test" | "reload";

/** How a command inside ended, and what it said, at most 64 KiB of it. */
export type DeskAnswer = { exitCode: number; output: string };

export type NginxDesk = {
  /**
   * Has it done inside Nginx's container. Null where nobody is there, nobody begins with it within two seconds, or
   * whoever began is gone: then the engine has to be asked, which can tell why. Rejects with the signal's reason. Who did
   * not begin, or not end in time, is not asked again for half a minute: that would be as long each time.
   */
  ask(verb: DeskVerb, signal: AbortSignal): Promise<DeskAnswer | null>;
};

/** A container that is paused never begins. */
const BEGIN_MS = 2_000;
const REST_MS = 30_000;

const MAX_OUTPUT = 64 * 1024;
/** Longer than the line with the verdict. */
const TAIL = 1024;

/** The desk of the Nginx whose container has `folder` as its /run/sandbox. One is served after the other. */
export function createNginxDesk(folder: string, { restMs = REST_MS } = {}): NginxDesk {
  let before: Promise<unknown> = Promise.resolve();
  let restsUntil = 0;

  async function askInTurn(verb: DeskVerb, signal: AbortSignal): Promise<DeskAnswer | null> {
    signal.throwIfAborted();
    if (performance.now() < restsUntil) return null;
    let isSlow = true;
    try {
      const answer = await askOnce(folder, verb, signal);
      isSlow = answer === "silence";
      return answer === "silence" ? null : answer;
    } finally {
      if (isSlow) restsUntil = performance.now() + restMs;
    }
  }

  return {
    ask(verb, signal) {
      const answer = before.then(() => askInTurn(verb, signal));
      before = answer.catch(() => undefined);
      return answer;
    },
  };
}

/** As NginxDesk.ask, but for where nobody begins with it. */
async function askOnce(folder: string, verb: DeskVerb, signal: AbortSignal): Promise<DeskAnswer | "silence" | null> {
  const mark = randomUUID();
  const fd = openPipe(join(folder, "answer"), constants.O_RDONLY);
  if (fd === null) return null;
  const answers = new Socket({ fd, readable: true, writable: false }).setEncoding("utf8");
  try {
    const answer = hear(answers, mark, signal);
    answer.catch(() => undefined); // nobody waits for it where nobody can be told
    // Full seconds, of which the present one has begun.
    const until = Math.floor((Date.now() + BEGIN_MS) / 1000) - 1;
    return tellPipe(join(folder, "ask"), `${verb} ${mark} ${until}`) ? await answer : null;
  } finally {
    answers.destroy();
  }
}

async function hear(answers: Socket, mark: string, signal: AbortSignal): Promise<DeskAnswer | "silence" | null> {
  const { promise, resolve, reject } = Promise.withResolvers<DeskAnswer | "silence" | null>();
  const isOver = () => reject(signal.reason);
  signal.addEventListener("abort", isOver, { once: true });
  const silence = setTimeout(resolve, BEGIN_MS, "silence" as const);
  let text = "";
  answers.on("data", (chunk: string) => {
    text = shortened(text + chunk, mark);
    const { hasBegun, answer } = readAnswer(text, mark);
    if (hasBegun) clearTimeout(silence);
    if (answer !== null) resolve(answer);
  });
  answers.on("error", () => resolve(null)).on("close", () => resolve(null));
  try {
    return await promise;
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", isOver);
  }
}

/**
 * What a text of the pipe `answer` tells whoever asked under `mark`: whether that was begun with, and the answer once
 * it is whole. Answers to others, who did not wait for them, may stand before it.
 */
export function readAnswer(text: string, mark: string): { hasBegun: boolean; answer: DeskAnswer | null } {
  const [, said] = text.split(`begin ${mark}\n`, 2);
  if (said === undefined) return { hasBegun: false, answer: null };
  const [, exitCode] = new RegExp(`\nend ${mark} (\\d+)\n`).exec(said) ?? [];
  if (exitCode === undefined) return { hasBegun: true, answer: null };
  const [output = ""] = said.split(`\nend ${mark} `, 1);
  return { hasBegun: true, answer: { exitCode: Number(exitCode), output: output.slice(0, MAX_OUTPUT) } };
}

/** Without what concerns nobody any more, and no longer than it need be: a refusal may be long. */
function shortened(text: string, mark: string): string {
  const start = text.indexOf(`begin ${mark}\n`);
  if (start === -1) return text.slice(-TAIL);
  const own = text.slice(start);
  return own.length <= MAX_OUTPUT + TAIL ? own : own.slice(0, MAX_OUTPUT) + own.slice(-TAIL);
}
