import { randomInt } from "node:crypto";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EnvironmentRecord } from "../domain/environment/record.ts";
import { environmentHost } from "../domain/environment/view.ts";
import { renderServerBlock } from "../routing/nginx/server-block.ts";
import { expectContract } from "../test/support/expect-contract.ts";
import { createFakeApp, createFakePlatform, DEMO_IMAGE, type FakePlatform } from "../test/support/fake-platform.ts";
import { encodeRequest, type FuzzRequest } from "../test/support/encode-request.ts";
import { createFakeTokens, PEOPLE } from "../test/support/fake-tokens.ts";
import { fuzzRequests } from "../test/support/fuzz-requests.ts";
import { parseNginx } from "../test/support/parse-nginx.ts";
import { sendRaw } from "../test/support/raw-http.ts";
import { startServer } from "./server.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] || 10_000);
const SEED = Number(process.env["FUZZ_SEED"] || randomInt(2 ** 31));
/** Kept alive for the requests to aim at; the fake pool has four subnets. */
const KEPT = 2;
const QUICK = { headersMs: 1_000, requestMs: 1_000, stallMs: 5_000, checkMs: 100 };

/** "open" calls a platform without tokens; "stranger" has no token where one is needed. */
type Sender = "open" | "stranger" | "ann" | "eve" | "root";
const sender = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Sender>("open") },
  { weight: 4, arbitrary: fc.constant<Sender>("ann") },
  { weight: 4, arbitrary: fc.constantFrom<Sender>("stranger", "eve", "root") },
);

let platform: FakePlatform;
let open: Server;
let guarded: Server;
/** Answers by sender and status or code. */
const counts = new Map<string, number>();
const failures: unknown[] = [];
const noteFailure = (error: unknown) => void failures.push(error);

beforeAll(async () => {
  platform = await createFakePlatform();
  open = await startServer(createFakeApp(platform), "127.0.0.1", 0, QUICK);
  const tokens = createFakeTokens(PEOPLE);
  guarded = await startServer(createFakeApp({ ...platform, tokens }), "127.0.0.1", 0, QUICK);
  process.on("uncaughtException", noteFailure).on("unhandledRejection", noteFailure);
});

afterAll(async () => {
  process.off("uncaughtException", noteFailure).off("unhandledRejection", noteFailure);
  platform.stop.abort();
  for (const server of [open, guarded]) {
    server.closeAllConnections();
    server.close();
  }
  await platform.shippers.stopAll();
});

/** Every environment has one well-formed upstream and server block, and names fit for Docker. Destroys all but KEPT. */
async function checkEnvironments(): Promise<void> {
  const all = platform.environments.all();
  for (const { id, services } of all) {
    const [service] = services;
    const host = environmentHost(id, "localhost");
    const route = { id, host, address: "10.172.0.3", port: service?.port ?? 0 };
    const text = renderServerBlock(route, { address: "10.171.0.2", denied: ["10.172.0.0/16"] });
    const blocks = parseNginx(text);
    expect(blocks.map(({ words }) => words)).toEqual([["upstream", id], ["server"]]);
    expect(blocks[1]?.block?.find(({ words }) => words[0] === "server_name")?.words).toEqual(["server_name", host]);
    expect(service?.container).toMatch(/^sandbox-env-[a-z0-9-]+-app$/);
  }
  for (const { id } of all.slice(0, -KEPT)) {
    await platform.shippers.stop(id);
    await send(`DELETE /envs/${id}`);
  }
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

/** Sends a request without a body to the open platform. */
function send(line: string): ReturnType<typeof sendRaw> {
  const port = portOf(open);
  return sendRaw(port, Buffer.from(`${line} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`));
}

/** Environments that a sender must leave as they are, and not hear of unless it may see all. */
function othersOf(from: Sender): EnvironmentRecord[] {
  const all = from === "open" || from === "root" ? [] : platform.environments.all();
  // A copy: a record that is changed in place would look the same.
  return structuredClone(all.filter(({ owner }) => owner !== from));
}

async function probe([request, from, aimsAtOwn]: [FuzzRequest, Sender, boolean]): Promise<void> {
  const port = portOf(from === "open" ? open : guarded);
  const others = othersOf(from);
  const target = platform.environments.all().find(({ owner }) => (owner === from) === aimsAtOwn);
  const id = target?.id ?? "env-none-1";
  const token: [string, string][] =
    from === "open" || from === "stranger" ? [] : [["Authorization", `Bearer t-${from}`]];
  // A client that half-closes after a whole request gives the answer up; after half a request it ends it.
  const halfClose = ["long", "both", "broken-chunks"].includes(request.framing);
  const bytes = encodeRequest({ ...request, headers: [...token, ...request.headers] }, `127.0.0.1:${port}`, id);
  const answers = await sendRaw(port, bytes, { halfClose });
  expect(answers.length).toBeGreaterThan(0);
  for (const answer of answers) {
    expectContract(answer, request.method === "HEAD");
    if (answer.status < 400 && from !== "eve")
      for (const other of others) expect(answer.body ?? "").not.toContain(other.id);
    const kind = `${from} ${/"code":"(\w+)"/.exec(answer.body ?? "")?.[1] ?? answer.status}`;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  expect(othersOf(from)).toEqual(others);
  await checkEnvironments();
}

test(`${RUNS} random requests get answers within the contract and break nothing`, { timeout: 240_000 }, async () => {
  process.stdout.write(`fuzz of the API: FUZZ_SEED=${SEED} FUZZ_RUNS=${RUNS}\n`);
  const prototype = Object.getOwnPropertyNames(Object.prototype);
  const requests = fc.tuple(fuzzRequests([DEMO_IMAGE, "nowhere/nothing:1"]), sender, fc.boolean());
  await fc.assert(fc.asyncProperty(requests, probe), { numRuns: RUNS, seed: SEED, endOnFailure: true });
  const kinds = [...counts].toSorted((a, b) => b[1] - a[1]).map(([kind, count]) => `${kind} ${count}`);
  process.stdout.write(`answers: ${kinds.join(", ")}\n`);
  expect(failures).toEqual([]);
  expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(prototype);
  const [alive] = await send("GET /envs");
  expect(alive?.status).toBe(200);
});
