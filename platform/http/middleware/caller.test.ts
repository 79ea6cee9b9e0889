import { get } from "node:http";
import { expect, test } from "vitest";
import { createFakeApp, type FakePlatform } from "../../test/support/fake-platform.ts";
import { listen } from "../../test/support/listen.ts";
import { useTokenApp } from "../../test/support/token-app.ts";

let platform: FakePlatform;
useTokenApp((fresh) => {
  platform = fresh;
});

/** Serves an API that trusts these proxies; returns a client that sends requests without a token, and gives their status. */
async function serve(trustedProxies: string[]) {
  const access = { hosts: [], trustedProxies, rateLimit: 0, changesLimit: 0 };
  const { port } = await listen(createFakeApp(platform, access));
  return (localAddress: string, forwarded: string): Promise<number | undefined> => {
    const headers = { "x-forwarded-for": forwarded, forwarded: `for=${forwarded}`, "x-real-ip": forwarded };
    return new Promise((resolve, reject) => {
      const request = get({ port, localAddress, path: "/envs", headers }, (response) => {
        resolve(response.resume().statusCode);
      });
      request.on("error", reject);
    });
  };
}

test.each([
  ["the address that a trusted proxy names", "203.0.113.7", "203.0.113.7"],
  ["the last address, not those the client wrote before it", "198.51.100.1, 127.0.0.1, 203.0.113.7", "203.0.113.7"],
  ["the last address that is no trusted proxy's", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"],
  ["an IPv6 address", "2001:db8::7", "2001:db8::7"],
  ["the IPv4 address in an IPv4-mapped one", "::ffff:203.0.113.7", "203.0.113.7"],
  ["the proxy's own where the header holds no address", "203.0.113.7, <script>", "127.0.0.1"],
])("behind a trusted proxy the caller's address is %s", async (_, forwarded, from) => {
  await (await serve(["127.0.0.1", "10.0.0.0/8"]))("127.0.0.1", forwarded);
  expect(platform.audit.entries).toMatchObject([{ from }]);
});

test.each([
  ["the connection is not a trusted proxy's", "127.0.0.2", ["127.0.0.1"]],
  ["no proxy is trusted", "127.0.0.1", []],
])("where %s the caller's address is the connection's", async (_, localAddress, trustedProxies) => {
  await (await serve(trustedProxies))(localAddress, "203.0.113.7");
  expect(platform.audit.entries).toMatchObject([{ from: localAddress }]);
});

test.each<[string, string[], (i: number) => string, [string, string]]>([
  ["without a trusted proxy", [], (i) => `192.0.2.${i}`, ["127.0.0.2", "192.0.2.10"]],
  ["behind a trusted proxy", ["127.0.0.1"], (i) => `192.0.2.${i}, 203.0.113.7`, ["127.0.0.1", "203.0.113.8"]],
])("%s refused tokens are limited by the caller's address", async (_, trustedProxies, forwarded, otherCaller) => {
  const attempt = await serve(trustedProxies);
  for (let i = 0; i < 10; i++) expect(await attempt("127.0.0.1", forwarded(i))).toBe(401);
  expect(await attempt("127.0.0.1", forwarded(10))).toBe(429);
  expect(await attempt(...otherCaller)).toBe(401);
});
