import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";

const CLI = join(resolve(import.meta.dirname, "../.."), "platform/cli/main.ts");
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** Runs a command of the Makefile against an API that gives this answer. */
async function run(command: string, parameters: Record<string, string>, answer: RequestListener) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  closing.push(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const PLATFORM_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const child = spawn(process.execPath, [CLI, command], { env: { ...process.env, ...parameters, PLATFORM_URL } });
  child.stdin.end();
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { code: code as number, stdout, stderr, asked: asked.length };
}

const never: RequestListener = (_request, response) => void response.writeHead(500).end();

describe("make create refuses a bad parameter without a call of the API", () => {
  test.each([
    [{ PORT: "abc" }, 'PORT is a number from 1 to 65535, not "abc".'],
    [{ PORT: "0" }, 'PORT is a number from 1 to 65535, not "0".'],
    [{ PORT: "65536" }, 'PORT is a number from 1 to 65535, not "65536".'],
    [{ PORT: "1e3" }, 'PORT is a number from 1 to 65535, not "1e3".'],
    [{ TTL: "soon" }, 'TTL is a length of time such as 90, 15m or 2h, not "soon".'],
    [{ TTL: "99999999999999999999" }, 'TTL is a length of time such as 90, 15m or 2h, not "99999999999999999999".'],
  ])("%o", async (parameters, message) => {
    const { code, stderr, asked } = await run("create", { NAME: "x", ...parameters }, never);
    expect([code, stderr, asked]).toEqual([2, `${message}\n`, 0]);
  });
});

test("a refusal of the API is printed once, with all bad fields", async () => {
  const errors = [
    { path: "ttl", message: "must be at most 60" },
    { path: "name", message: "is too long" },
  ];
  const problem = JSON.stringify({ detail: "Cannot accept the request body: ttl: must be at most 60", errors });
  const { code, stderr } = await run(
    "create",
    { NAME: "x" },
    (_, response) => void response.writeHead(400).end(problem),
  );
  const printed = "Error: Cannot accept the request body: ttl: must be at most 60\n  name: is too long\n";
  expect([code, stderr]).toEqual([1, `Creating x …\n${printed}`]);
});

test("make logs prints lines on stdout, and the reason of the stream's end on stderr", async () => {
  const stream = "retry: 1000\n\ndata: one\n\n: still here\n\ndata: event: end\n\nevent: end\ndata: ended\n\n";
  const { code, stdout, stderr } = await run("logs", { ENV: "env-a-1" }, (_, response) => void response.end(stream));
  expect([code, stdout, stderr]).toEqual([0, "one\nevent: end\n", "The stream ended: ended\n"]);
});

test("control characters in an application's output do not reach the terminal", async () => {
  const words = "\u001b[31mred\u001b[0m \u001b]0;a title\u0007plain\u0008\u009b1A\tand \u00e4";
  const line: RequestListener = (_, response) => void response.end(`data: ${words}\n\n`);
  expect((await run("logs", { ENV: "env-a-1" }, line)).stdout).toBe("red plain\tand \u00e4\n");
  const problem: RequestListener = (_, response) =>
    void response.writeHead(422).end(JSON.stringify({ detail: `Cannot: its last output:\n${words}` }));
  const { stderr } = await run("destroy", { ENV: "env-a-1" }, problem);
  expect(stderr).toContain("Error: Cannot: its last output:\nred plain\tand \u00e4\n");
});
