import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";

const VALUE = "s3cret-value";

test.each([
  { secrets: { PASSWORD: VALUE } },
  { body: { secrets: { PASSWORD: VALUE } } },
  { token: VALUE },
  { session: { token: VALUE } },
  { authorization: VALUE },
  { headers: { authorization: VALUE } },
  { req: { headers: { authorization: VALUE } } },
  { request: { headers: { authorization: VALUE } } },
  { request: { body: { secrets: { PASSWORD: VALUE } } } },
])("the log redacts the secret in %j", (fields) => {
  let text = "";
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  createLogger("info", sink).info({ ...fields, kept: "as it is" }, "something");
  expect(text).toContain("as it is");
  expect(text).toContain("[redacted]");
  expect(text).not.toContain(VALUE);
});
