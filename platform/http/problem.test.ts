import express from "express";
import request from "supertest";
import { expect, test } from "vitest";
import { PlatformError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/logger.ts";
import { problemWriter } from "./problem.ts";

/** The answer to a request that fails with an error, and the fields of the lines that are logged. */
async function failWith(error: Error): Promise<{ answer: string; logged: unknown[] }> {
  const logged: unknown[] = [];
  const log = (fields: unknown) => void logged.push(fields);
  const app = express();
  app.get("/", (_, response, next) => {
    response.locals["requestId"] = "r1";
    next(error);
  });
  app.use(problemWriter({ warn: log, error: log } as unknown as Logger));
  return { answer: (await request(app).get("/")).text, logged };
}

test("the engine's words about a missing image are logged, and the caller gets ours", async () => {
  const cause = new Error("error parsing HTTP 404 response body: <h1>inside</h1>");
  const { answer, logged } = await failWith(new PlatformError("image_not_found", "Cannot find it", { cause }));
  expect(JSON.parse(answer)).toMatchObject({ status: 422, code: "image_not_found", detail: "Cannot find it" });
  expect(answer).not.toContain("inside");
  expect(logged).toEqual([
    { code: "image_not_found", reason: "Cannot find it", cause: cause.message, request_id: "r1" },
  ]);
});

test("a caller's mistake is not logged", async () => {
  expect((await failWith(new PlatformError("invalid_request", "Cannot"))).logged).toEqual([]);
});
