import { expect } from "vitest";
import { CATALOGUE, type ErrorCode } from "../../kernel/errors.ts";
import type { RawAnswer } from "./raw-http.ts";

/** A refusal tells what is wrong; it does not send back what it was sent. */
const MAX_REFUSAL = 65_536;

/**
 * What every answer of the API keeps to, whatever it was asked: no failure outside the catalogue, no
 * defect, and a whole problem document for each refusal.
 */
export function expectContract({ status, headers, body }: RawAnswer, isHead: boolean): void {
  if (status < 400) return;
  // /healthz tells of a failing part in its own words.
  if (status === 503 && headers["content-type"]?.startsWith("application/json")) {
    expect(JSON.parse(body ?? "")).toMatchObject({ status: "failing", parts: {} });
    return;
  }
  expect(headers["content-type"]).toMatch(/^application\/problem\+json/);
  if (isHead) return;
  expect((body ?? "").length).toBeLessThan(MAX_REFUSAL);
  const problem = JSON.parse(body ?? "") as Record<string, unknown>;
  const code = problem["code"] as ErrorCode;
  expect(Object.keys(CATALOGUE)).toContain(code);
  expect(code).not.toBe("internal_error");
  expect(problem).toMatchObject({ ...CATALOGUE[code], status, type: `/docs#${code}` });
  expect(problem["detail"]).toMatch(/\S/);
  expect(problem["request_id"]).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
  if (status === 405) expect(headers["allow"]).toMatch(/^[A-Z, ]+$/);
}
