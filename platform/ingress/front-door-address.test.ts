import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { FRONT_DOOR_HOST, renderServerBlock } from "./server-block.ts";
import { DEFAULT_GENERATION_PORTS, renderGeneration } from "./generation.ts";

const fromRoot = (file: string) => readFile(resolve(import.meta.dirname, "../..", file), "utf8");
const listened = (text: string) => [...text.matchAll(/^\s*listen\s+([^\s;]+)/gm)].map(([, place = ""]) => place);

test("whatever listens does so on Nginx's address in the platform's network, by its name", async () => {
  const route = { id: "env-a-1", host: "env-a-1.localhost", address: "10.172.0.3", port: 3000 };
  const texts = [
    await fromRoot("nginx/nginx.conf"),
    renderServerBlock(route, []),
    renderGeneration(1, [], DEFAULT_GENERATION_PORTS),
  ];
  const places = texts.map(listened);
  expect(places.map(({ length }) => length)).toEqual([2, 2, 2]);
  expect(places.flat().filter((place) => !place.startsWith(`${FRONT_DOOR_HOST}:`))).toEqual([]);
});

test("compose gives Nginx's container that name, and has it listen also where it is cut off that network", async () => {
  const compose = await fromRoot("docker-compose.yml");
  const nginx = compose.slice(compose.indexOf("\n  nginx:"), compose.indexOf("\n  firewall:"));
  const address = /ipv4_address: (\S+)/.exec(nginx)?.[1];
  expect(nginx).toContain(`extra_hosts: ["${FRONT_DOOR_HOST}:${address}"]`);
  expect(nginx).toMatch(/sysctls:\n\s+net\.ipv4\.ip_nonlocal_bind: 1\n/);
});
