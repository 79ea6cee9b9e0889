import { get } from "node:http";
import { expect, test } from "vitest";
import type { FakePlatform } from "../../test/support/fake-platform.ts";
import { createFakeApp } from "../../test/support/fake-platform.ts";
import { listen } from "../../test/support/listen.ts";
import { useTokenApp } from "../../test/support/token-app.ts";

let platform: FakePlatform;
useTokenApp((fresh) => {
  platform = fresh;
});

/** Where the audit log says that requests are from which a proxy at `peer` sends on with these headers. */
async function toldFrom(peer: string, trustedProxies: string[], forwarded: string[]): Promise<(string | null)[]> {
  const access = { hosts: [], trustedProxies, rateLimit: 0, changesLimit: 0 };
  const { port } = await listen(createFakeApp(platform, access));
  for (const header of forwarded) await refused(port, peer, header);
  return platform.audit.entries.map(({ from }) => from);
}

/** The status of a request without a token. */
function refused(port: number, localAddress: string, header: string): Promise<number | undefined> {
  const headers = { "x-forwarded-for": header, forwarded: `for=${header}`, "x-real-ip": header };
  return new Promise((resolve, reject) => {
    const request = get({ port, localAddress, path: "/envs", headers }, (response) => {
      resolve(response.resume().statusCode);
    });
    request.on("error", reject);
  });
}

test.each([
  ["the address that a trusted proxy names", "203.0.113.7", "203.0.113.7"],
  ["the last one, whatever the client wrote before it", "198.51.100.1, 127.0.0.1, 203.0.113.7", "203.0.113.7"],
  ["the last one that is no trusted proxy's", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"],
  ["an IPv6 address", "2001:db8::7", "2001:db8::7"],
  ["an IPv4 address in IPv6's clothes", "::ffff:203.0.113.7", "203.0.113.7"],
  ["the proxy, when what it names is no address", "203.0.113.7, <script>", "127.0.0.1"],
])("the caller's address is %s", async (_, header, from) => {
  expect(await toldFrom("127.0.0.1", ["127.0.0.1", "10.0.0.0/8"], [header])).toEqual([from]);
});

test("nobody's word is taken but a trusted proxy's", async () => {
  expect(await toldFrom("127.0.0.2", ["127.0.0.1"], ["203.0.113.7"])).toEqual(["127.0.0.2"]);
  platform.audit.entries.length = 0;
  expect(await toldFrom("127.0.0.1", [], ["203.0.113.7"])).toEqual(["127.0.0.1"]);
});

test("refused tokens are limited by the address behind a trusted proxy", async () => {
  const access = { hosts: [], trustedProxies: ["127.0.0.1"], rateLimit: 0, changesLimit: 0 };
  const { port } = await listen(createFakeApp(platform, access));
  const attempt = (header: string) => refused(port, "127.0.0.1", header);
  for (let i = 0; i < 10; i++) expect(await attempt(`192.0.2.${i}, 203.0.113.7`)).toBe(401);
  expect(await attempt("203.0.113.7")).toBe(429);
  expect(await attempt("203.0.113.8")).toBe(401);
});
