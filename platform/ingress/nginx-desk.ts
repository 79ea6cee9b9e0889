import { randomUUID } from "node:crypto";
import { constants, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { errnoOf } from "../runtime/atomic-file.ts";

/** What the loop in Nginx's container (nginx/desk.sh) does when it is asked. */
export type DeskVerb = "test" | "reload";

/** How a command inside ended, and what it said, at most 64 KiB of it. */
export type DeskAnswer = { exitCode: number; output: string };

export type NginxDesk = {
  /**
   * Has it done inside Nginx's container. Null where nobody is there, nobody begins with it within two seconds, or
   * whoever began is gone: then the engine has to be asked, which can tell why. Rejects with the signal's reason.
   */
  ask(verb: DeskVerb, signal: AbortSignal): Promise<DeskAnswer | null>;
};

/** A container that is paused never begins. */
const BEGIN_MS = 2_000;

const MAX_OUTPUT = 64 * 1024;
/** Longer than the line with the verdict. */
const TAIL = 1024;

/** The desk of the Nginx whose container has `folder` as its /run/sandbox. One is served after the other. */
export function createNginxDesk(folder: string): NginxDesk {
  let before: Promise<unknown> = Promise.resolve();
  return {
    ask(verb, signal) {
      const answer = before.then(() => askOnce(folder, verb, signal));
      before = answer.catch(() => undefined);
      return answer;
    },
  };
}

async function askOnce(folder: string, verb: DeskVerb, signal: AbortSignal): Promise<DeskAnswer | null> {
  signal.throwIfAborted();
  const mark = randomUUID();
  const answers = listen(join(folder, "answer"));
  if (answers === null) return null;
  try {
    const answer = hear(answers, mark, signal);
    answer.catch(() => undefined); // nobody waits for it where nobody can be told
    return (await tell(join(folder, "ask"), `${verb} ${mark}\n`)) ? await answer : null;
  } finally {
    answers.destroy();
  }
}

/** The pipe's end to read from, or null where there is none. Opening does not wait for who writes. */
function listen(path: string): Socket | null {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return new Socket({ fd, readable: true, writable: false }).setEncoding("utf8");
  } catch (error) {
    if (errnoOf(error) === null) throw error;
    return null;
  }
}

/** Whether somebody reads the pipe, or will. */
async function tell(path: string, line: string): Promise<boolean> {
  try {
    // Without waiting, for a reader as for room in the pipe.
    const pipe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      await pipe.write(line);
      return true;
    } finally {
      await pipe.close();
    }
  } catch (error) {
    if (errnoOf(error) === null) throw error;
    return false;
  }
}

async function hear(answers: Socket, mark: string, signal: AbortSignal): Promise<DeskAnswer | null> {
  const { promise, resolve, reject } = Promise.withResolvers<DeskAnswer | null>();
  const isOver = () => reject(signal.reason);
  signal.addEventListener("abort", isOver, { once: true });
  const silence = setTimeout(resolve, BEGIN_MS, null);
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
