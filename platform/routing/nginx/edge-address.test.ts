import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { renderServerBlock } from "./server-block.ts";
import { DEFAULT_VERSION_PORTS, renderVersion } from "./config-version.ts";

const LISTENER = { address: "10.171.0.2", denied: [] };
const fromRoot = (file: string) => readFile(resolve(import.meta.dirname, "../../..", file), "utf8");
const listened = (text: string) => [...text.matchAll(/^\s*listen\s+([^\s;]+)/gm)].map(([, place = ""]) => place);

test("every server of Nginx listens on its address in the platform's network", async () => {
  const route = { id: "env-a-1", host: "env-a-1.localhost", address: "10.172.0.3", port: 3000 };
  const nginx = await fromRoot("nginx/nginx.conf");
  expect(listened(nginx)).toEqual([]);
  expect([...nginx.matchAll(/include (\/run\/edge\/.+);/g)].map(([, file]) => file)).toEqual([
    "/run/edge/80.conf",
    "/run/edge/8081.conf",
  ]);
  expect(await fromRoot("nginx/start.sh")).toContain('"listen ${NGINX_ADDRESS:?}:$port default_server;"');
  // By no name: names are looked up in a file that Docker writes anew while others are created.
  expect(listened(renderServerBlock(route, LISTENER))).toEqual(["10.171.0.2:80", "10.171.0.2:8081"]);
  expect(listened(renderVersion(1, LISTENER, DEFAULT_VERSION_PORTS))).toEqual(["10.171.0.2:8081", "10.171.0.2:8101"]);
});

test("compose gives Nginx's container that address, and has it listen also where it is cut off that network", async () => {
  const compose = await fromRoot("docker-compose.yml");
  const nginx = compose.slice(compose.indexOf("\n  nginx:"), compose.indexOf("\n  firewall:"));
  const address = /ipv4_address: (\S+)/.exec(nginx)?.[1];
  expect(nginx).toContain(`NGINX_ADDRESS: ${address}`);
  expect(nginx).toContain('command: ["sh", "/etc/nginx/start.sh"]');
  expect(nginx).toMatch(/sysctls:\n\s+net\.ipv4\.ip_nonlocal_bind: 1\n/);
});
