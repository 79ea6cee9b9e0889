import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { startNginxContainer } from "../support/nginx-container.ts";
import { waitUntil } from "../support/wait-until.ts";
import { describeRouterContract } from "./router-contract.ts";

/** Longer than an entry of nginx.conf's name table may be, and yet a valid host name: Nginx refuses it without naming a file. */
const UNACCEPTABLE_DOMAIN = `${"a".repeat(60)}.`.repeat(3) + "b".repeat(50);

describeRouterContract("Nginx", async () => {
  const nginx = await startNginxContainer();
  const held: ServerResponse[] = [];
  const upstreams = await Promise.all(
    ["first", "second"].map(async (name) => {
      const { port } = await nginx.listen((request, response) => {
        if (request.url === "/hold") held.push(response);
        else response.end(name);
      });
      return { name, address: nginx.gateway, port };
    }),
  );
  const [first, second] = upstreams;
  if (first === undefined || second === undefined) throw new TypeError("two upstreams were made");

  return {
    router: nginx.makeRouter(),
    upstreams: [first, second],
    async ask(host, port) {
      const { status, body } = await nginx.get(host, { port: port === "internal" ? 8081 : 80 });
      return status === 200 ? body : null;
    },
    refusable: (route) => ({ ...route, host: `${route.id}.${UNACCEPTABLE_DOMAIN}` }),
    async occupy(host) {
      const answer = nginx.get(host, { path: "/hold" });
      await waitUntil("the request", async () => held.length > 0);
      return {
        async end() {
          held.pop()?.end();
          await answer;
        },
      };
    },
    addForeign: (file) => writeFile(join(nginx.confDir, file), "# harmless\n"),
    hasForeign: async (file) => existsSync(join(nginx.confDir, file)),
    stop: nginx.stop,
    start: nginx.start,
    dispose: nginx.dispose,
  };
});
