import { expect } from "vitest";
import { describeAnswer, type AnyAnswer } from "./api-client.ts";

/** Asserts an answer's status, and that its body has these fields. Returns the answer. */
export function expectStatus<T extends AnyAnswer>(answer: T, status: number, body?: object): T {
  expect(answer.status, describeAnswer(answer)).toBe(status);
  if (body !== undefined) expect(answer.body, describeAnswer(answer)).toMatchObject(body);
  return answer;
}
