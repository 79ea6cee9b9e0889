import type { AddressInfo } from "node:net";
import { randomInt } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { environmentHost } from "../domain/environment-view.ts";
import { renderServerBlock } from "../ingress/server-block.ts";
import { expectContract } from "../test/support/expect-contract.ts";
import { createFakeApp, createFakeContext, DEMO_IMAGE, type FakeContext } from "../test/support/fake-context.ts";
import { encodeRequest, type FuzzRequest } from "../test/support/encode-request.ts";
import { fuzzRequests } from "../test/support/fuzz-requests.ts";
import { parseNginx } from "../test/support/parse-nginx.ts";
import { sendRaw } from "../test/support/raw-http.ts";
import { startServer } from "./server.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] || 10_000);
const SEED = Number(process.env["FUZZ_SEED"] || randomInt(2 ** 31));
/** Kept alive for the requests to aim at; the fake pool has four subnets. */
const KEPT = 2;
const QUICK = { headersMs: 1_000, requestMs: 1_000, stallMs: 5_000, checkMs: 100 };

let context: FakeContext;
let server: Awaited<ReturnType<typeof startServer>>;
/** How many answers had which status or code. */
const seen = new Map<string, number>();
const failures: unknown[] = [];
const noteFailure = (error: unknown) => void failures.push(error);

beforeAll(async () => {
  context = await createFakeContext();
  server = await startServer(createFakeApp(context), "127.0.0.1", 0, QUICK);
  process.on("uncaughtException", noteFailure).on("unhandledRejection", noteFailure);
});

afterAll(async () => {
  process.off("uncaughtException", noteFailure).off("unhandledRejection", noteFailure);
  context.stop.abort();
  server.closeAllConnections();
  server.close();
  await context.shippers.stopAll();
});

/** Every environment that was let in makes one well-formed server block and names fit for Docker. */
async function checkWhatWasMade(): Promise<void> {
  const all = context.environments.all();
  for (const { id, services } of all) {
    const [service] = services;
    const host = environmentHost(id, "localhost");
    const text = renderServerBlock({ id, host, address: service?.address ?? "", port: service?.port ?? 0 }, [
      "10.172.0.0/16",
    ]);
    const [block, ...more] = parseNginx(text);
    expect([block?.words, more.length]).toEqual([["server"], 0]);
    expect(block?.block?.find(({ words }) => words[0] === "server_name")?.words).toEqual(["server_name", host]);
    expect(service?.container).toMatch(/^sandbox-env-[a-z0-9-]+-app$/);
  }
  for (const { id } of all.slice(0, -KEPT)) {
    await context.shippers.stop(id);
    await sendRaw(
      port(),
      Buffer.from(`DELETE /envs/${id} HTTP/1.1\r\nHost: 127.0.0.1:${port()}\r\nConnection: close\r\n\r\n`),
    );
  }
}

const port = () => (server.address() as AddressInfo).port;

async function probe(request: FuzzRequest): Promise<void> {
  const id = context.environments.all()[0]?.id ?? "env-none-1";
  // Who half-closes after a whole request gives the answer up; after half a request it is the end of it.
  const halfClose = ["long", "both", "broken-chunks"].includes(request.framing);
  const answers = await sendRaw(port(), encodeRequest(request, `127.0.0.1:${port()}`, id), { halfClose });
  expect(answers.length).toBeGreaterThan(0);
  for (const answer of answers) {
    expectContract(answer, request.method === "HEAD");
    const kind = /"code":"(\w+)"/.exec(answer.body ?? "")?.[1] ?? String(answer.status);
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
  }
  await checkWhatWasMade();
}

test(`whatever ${RUNS} requests ask, every answer keeps to the contract and nothing breaks`, {
  timeout: 240_000,
}, async () => {
  process.stdout.write(`fuzz of the API: FUZZ_SEED=${SEED} FUZZ_RUNS=${RUNS}\n`);
  const prototype = Object.getOwnPropertyNames(Object.prototype);
  await fc.assert(fc.asyncProperty(fuzzRequests([DEMO_IMAGE, "nowhere/nothing:1"]), probe), {
    numRuns: RUNS,
    seed: SEED,
    endOnFailure: true,
  });
  const counts = [...seen].toSorted((a, b) => b[1] - a[1]).map(([kind, count]) => `${kind} ${count}`);
  process.stdout.write(`answers: ${counts.join(", ")}\n`);
  expect(failures).toEqual([]);
  expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(prototype);
  const [alive] = await sendRaw(
    port(),
    Buffer.from(`GET /envs HTTP/1.1\r\nHost: 127.0.0.1:${port()}\r\nConnection: close\r\n\r\n`),
  );
  expect(alive?.status).toBe(200);
});
