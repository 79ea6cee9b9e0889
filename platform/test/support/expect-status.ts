import { expect } from "vitest";

/** An answer in any of the shapes that the clients of the tests return. */
export type AnyAnswer = { status: number; body?: unknown; text?: string };

const SHOWN = 1_000;

/** An answer's status and body, for the message of a failed assertion: the body of a refusal says why. */
export function describeAnswer({ status, body, text }: AnyAnswer): string {
  return `answered ${status} ${JSON.stringify(body ?? text)}`.slice(0, SHOWN);
}

/** Asserts an answer's status, and that its body has these fields. Returns the answer. */
export function expectStatus<T extends AnyAnswer>(answer: T, status: number, body?: object): T {
  expect(answer.status, describeAnswer(answer)).toBe(status);
  if (body !== undefined) expect(answer.body, describeAnswer(answer)).toMatchObject(body);
  return answer;
}
