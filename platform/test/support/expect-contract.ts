import { expect } from "vitest";
import { CATALOGUE, type ErrorCode } from "../../kernel/errors.ts";
import type { RawAnswer } from "./raw-http.ts";

/** A refusal says what is wrong and does not send the request back. */
const MAX_REFUSAL = 65_536;

/**
 * Expects the contract of every answer of the API: strict headers, no failure outside the catalogue, no internal error,
 * and a whole problem document for each refusal.
 */
export function expectContract({ status, headers, body }: RawAnswer, isHead: boolean): void {
  expectStrictHeaders(headers);
  if (status < 400) return;
  // A failing /healthz has a document of its own.
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
  expect(problem["request_id"]).toBe(headers["x-request-id"]);
  if (status === 405) expect(headers["allow"]).toMatch(/^[A-Z, ]+$/);
}

/** Expects the headers that keep browsers strict, and none that lets another site read the answer. */
export function expectStrictHeaders(headers: Record<string, unknown>): void {
  expect(headers).toMatchObject({
    "content-security-policy": expect.stringContaining("default-src 'none'"),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "x-request-id": expect.stringMatching(/./),
  });
  expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
  expect(headers["content-security-policy"]).not.toContain("unsafe");
  expect(headers).not.toHaveProperty("x-powered-by");
  expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
}
