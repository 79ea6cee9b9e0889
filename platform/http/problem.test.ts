import express from "express";
import request from "supertest";
import { expect, test } from "vitest";
import { PlatformError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/logger.ts";
import { problemWriter } from "./problem.ts";

/** What the caller is told and what the log says of an error. */
async function writtenOf(error: Error): Promise<{ told: string; logged: unknown[] }> {
  const logged: unknown[] = [];
  const note = (fields: unknown) => void logged.push(fields);
  const app = express();
  app.get("/", (_, response, next) => {
    response.locals["requestId"] = "r1";
    next(error);
  });
  app.use(problemWriter({ warn: note, error: note } as unknown as Logger));
  return { told: (await request(app).get("/")).text, logged };
}

test("why an image cannot be had is told to the log in the engine's words, and to the caller in ours", async () => {
  const cause = new Error("error parsing HTTP 404 response body: <h1>inside</h1>");
  const { told, logged } = await writtenOf(new PlatformError("image_not_found", "Cannot find it", { cause }));
  expect(JSON.parse(told)).toMatchObject({ status: 422, code: "image_not_found", detail: "Cannot find it" });
  expect(told).not.toContain("inside");
  expect(logged).toEqual([
    { code: "image_not_found", reason: "Cannot find it", cause: cause.message, request_id: "r1" },
  ]);
});

test("what callers get wrong is not the log's business", async () => {
  expect((await writtenOf(new PlatformError("invalid_request", "Cannot"))).logged).toEqual([]);
});
