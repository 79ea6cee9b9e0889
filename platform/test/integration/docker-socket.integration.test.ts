import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ALLOWED_CALLS } from "../../../scripts/socket-proxy/allowed-calls.ts";
import { visit } from "../support/api-client.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { runInside } from "../support/inside.ts";
import { leftovers } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const OPERATIONS = new URL("../../../docs/operations.md", import.meta.url);

/** Asks the engine the way the API's container does, and prints the status and the engine's or the proxy's words. */
const ASK = `
const [method, path, body] = process.argv.slice(1);
const request = require("node:http").request({ socketPath: process.env.DOCKER_SOCKET, method, path,
  headers: body === undefined ? {} : { "content-type": "application/json" } }, (response) => {
  let text = "";
  response.on("data", (chunk) => (text += chunk)).on("end", () => console.log(response.statusCode, text));
});
request.end(body);
`;

/** Calls in the documentation's table: one pattern between backticks in the first column of each row. */
function documentedCalls(): string[] {
  const section = readFileSync(OPERATIONS, "utf8").split("\n## The Docker socket\n")[1]?.split("\n## ")[0] ?? "";
  return [...section.matchAll(/^\| `((?:GET|PUT|POST|DELETE|HEAD) [^`]+)` \|/gm)].map(([, call]) => call ?? "");
}

describePlatform(
  "with the socket filter",
  {},
  (platform) => {
    test("everything works, with the very calls that are documented and no other", async () => {
      const proxy = `${platform.instance.name}-socket-proxy`;
      const { id, container } = await platform.createDemo({ name: "filtered" });
      expect((await visit(platform.instance, hostOf(id))).status).toBe(200);
      expect(await platform.api.create({ image: "no-such-image:1" })).toMatchObject({ status: 422 });
      for (const mode of ["pause", "crash", "network", "stress"]) {
        expect(await platform.api.outage(id, mode)).toMatchObject({ status: 200 });
        const recovered = await platform.api.outage(id, "recover");
        expect(recovered).toMatchObject({ status: 200, body: { status: "running" } });
      }
      expect((await visit(platform.instance, hostOf(id))).status).toBe(200);
      await waitUntil("its log", async () => (await platform.api.logs(id)).body.lines.length > 0);
      // What it learns from the engine's events, as they come.
      await docker("kill", container);
      const status = async () => (await platform.api.show(id)).body.status;
      await waitUntil("it to be degraded", async () => (await status()) === "degraded", 15_000);
      expect(await platform.api.destroy(id)).toMatchObject({ status: 200 });
      expect(await leftovers(platform.instance)).toEqual([]);

      const said = (await docker("logs", proxy)).split("\n");
      const used = said.flatMap((line) => (line.startsWith("allowed ") ? [line.slice("allowed ".length)] : []));
      expect(used.toSorted()).toEqual([...ALLOWED_CALLS].sort());
      expect(documentedCalls().toSorted()).toEqual([...ALLOWED_CALLS].sort());
      expect(said.filter((line) => line.startsWith("refused "))).toEqual([]);
    });

    test("the API's container reaches the engine in no other way, and is refused what it does not need", async () => {
      const api = `${platform.instance.name}-api`;
      const ask = (...args: string[]) => runInside(api, ASK, ...args);
      expect(await ask("GET", "/version")).toMatch(/^200 /);
      expect(await ask("GET", "/info")).toMatch(/^403 .*not among the platform's calls/);
      expect(await ask("GET", `/v1.41/containers/${api}/../../info`)).toMatch(/^403 /);
      const escape = { Image: "x", HostConfig: { NetworkMode: "none", Binds: ["/:/host"], Privileged: true } };
      expect(await ask("POST", "/v1.41/containers/create", JSON.stringify(escape))).toMatch(/^403 .*Binds/);

      const look = `const { lstatSync, writeFileSync } = require("node:fs");
        const attempt = (act) => { try { act(); return "done"; } catch (error) { return error.code; } };
        console.log(lstatSync("/var/run/docker.sock").isSocket(),
          attempt(() => writeFileSync("/app/scripts/up.sh", "")), attempt(() => writeFileSync("/app/platform/x", "")));`;
      expect(await runInside(api, look)).toBe("false EROFS EROFS");
    });
  },
  ["filtered container"],
);
