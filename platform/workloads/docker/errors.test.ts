import { describe, expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { engineTimeout, statusOf, toPlatformError } from "./errors.ts";

/** As docker-modem throws it. */
function refusal(statusCode: number, message: string, json: unknown = { message }): Error {
  return Object.assign(new Error(`(HTTP code ${statusCode}) server error - ${message} `), { statusCode, json });
}

describe("an engine's failure", () => {
  test.each(["ENOENT", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EACCES", "EPIPE"])(
    "is engine_unavailable and says what to do when the connection fails with %s",
    (code) => {
      const cause = Object.assign(new Error(`connect ${code} /var/run/docker.sock`), { code });
      const error = toPlatformError(cause, 'start container "x"');
      expect(error.code).toBe("engine_unavailable");
      expect(error.message).toMatch(/^Cannot start container "x": the Docker engine is unavailable: .+(start|run|see)/);
      expect(error.cause).toBe(cause);
    },
  );

  test("is engine_unavailable when a socket hangs up", () => {
    const cause = Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
    expect(toPlatformError(cause, "list containers").code).toBe("engine_unavailable");
  });

  test("is engine_unavailable when the engine takes too long, and names the limit", () => {
    const error = toPlatformError(engineTimeout(30_000), "list containers");
    expect(error.code).toBe("engine_unavailable");
    expect(error.message).toContain("30000 ms");
  });

  test("is engine_failed with the engine's own words when it refuses", () => {
    const error = toPlatformError(refusal(500, "driver failed"), 'remove container "x"');
    expect(error.code).toBe("engine_failed");
    expect(error.message).toBe('Cannot remove container "x": driver failed');
    expect(statusOf(error)).toBe(500);
  });

  test("is what the caller says that a status means", () => {
    expect(
      toPlatformError(refusal(403, "Pool overlaps"), "create network", { 403: "address_pool_exhausted" }).code,
    ).toBe("address_pool_exhausted");
  });

  test("keeps the engine's words when they came as a stream and not as JSON", () => {
    const error = toPlatformError(refusal(404, "No such image: a - b", null), "pull");
    expect(error.message).toBe("Cannot pull: No such image: a - b");
  });

  test("stays as it is when it is catalogued already", () => {
    const original = new PlatformError("conflict", "Cannot");
    expect(toPlatformError(original, "start")).toBe(original);
    expect(statusOf(original)).toBeNull();
  });

  test("is engine_failed for anything else, and keeps it as the cause", () => {
    const error = toPlatformError("odd", "start");
    expect([error.code, error.cause]).toEqual(["engine_failed", "odd"]);
  });
});
