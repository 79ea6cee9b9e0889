import { readFileSync } from "node:fs";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { ALLOWED_CALLS } from "../../../socket-proxy/allowed-calls.ts";
import { visit } from "../support/api-client.ts";
import { SELDOM_RECONCILED, describePlatform, hostOf } from "../support/describe-platform.ts";
import { docker, DOCKER_SOCKET, nodeImage, TEST_LABEL } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { runInside } from "../support/inside.ts";
import { beside, containerGroup, engineGroup } from "../support/processor-groups.ts";
import { leftovers } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const PAGE = new URL("../../../docs/how-to/filter-the-docker-socket.md", import.meta.url);

type Call = [method: string, path: string, body?: object];

/** Asks the engine the way the API's container does, and prints each status and the engine's or the proxy's words. */
const ASK = `
const ask = ([method, path, body]) => new Promise((resolve) => {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const options = { socketPath: process.env.DOCKER_SOCKET, method, path, headers };
  require("node:http").request(options, (response) => {
    let text = "";
    response.on("data", (chunk) => (text += chunk)).on("end", () => resolve(response.statusCode + " " + text));
  }).end(body === undefined ? undefined : JSON.stringify(body));
});
Promise.all(JSON.parse(process.argv[1]).map(ask)).then((answers) => console.log(JSON.stringify(answers)));
`;

/** What calls from inside the API's container get for an answer. */
async function askInside(instance: string, calls: Call[]): Promise<string[]> {
  return JSON.parse(await runInside(`${instance}-api`, ASK, JSON.stringify(calls))) as string[];
}

/** A container of somebody else's, which runs once it is started. */
async function addNeighbour(instance: string, name: string): Promise<string> {
  const label = `${TEST_LABEL}=${instance}`;
  onTestFinished(async () => void (await docker("rm", "-f", name)));
  await docker("create", "--name", name, "--label", label, nodeImage(), "sleep", "600");
  return name;
}

/** Prepares a command in a container at the engine itself, and returns its id. */
function prepareCommand(container: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { socketPath: DOCKER_SOCKET, method: "POST", path: `/v1.41/containers/${container}/exec` };
  const headers = { "content-type": "application/json" };
  const outgoing = request({ ...options, headers, agent: false }, (response) => {
    text(response).then((said) => resolve((JSON.parse(said) as { Id: string }).Id), reject);
  });
  outgoing.on("error", reject).end('{"Cmd":["true"]}');
  return promise;
}

/** Calls in the documentation's table: one pattern between backticks in the first column of each row. */
function documentedCalls(): string[] {
  const rows = readFileSync(PAGE, "utf8").matchAll(/^\| `((?:GET|PUT|POST|DELETE|HEAD) [^`]+)` \|/gm);
  return [...rows].map(([, call]) => call ?? "");
}

describePlatform(
  "with the socket filter",
  SELDOM_RECONCILED,
  (platform) => {
    test("everything works, with the very calls that are documented and no other", async () => {
      const proxy = `${platform.instance.name}-socket-proxy`;
      const { id, container } = await platform.createDemo({ name: "filtered" });
      expectStatus(await visit(platform.instance, hostOf(id)), 200);
      expectStatus(await platform.api.create({ image: "no-such-image:1" }), 422);
      for (const mode of ["pause", "crash", "network", "stress"]) {
        expectStatus(await platform.api.outage(id, mode), 200);
        const recovered = await platform.api.outage(id, "recover");
        expect(recovered).toMatchObject({ status: 200, body: { status: "running" } });
      }
      expectStatus(await visit(platform.instance, hostOf(id)), 200);
      await waitUntil("its log", async () => (await platform.api.logs(id)).body.lines.length > 0);
      // What it learns from the engine's events, as they come.
      await docker("kill", container);
      const status = async () => (await platform.api.show(id)).body.status;
      await waitUntil("it to be degraded", async () => (await status()) === "degraded", 15_000);
      // What it made it knows; after a start it has to ask whose each object is.
      await platform.instance.stopApi();
      await platform.instance.startApi();
      expectStatus(await platform.api.destroy(id), 200);
      expect(await leftovers(platform.instance)).toEqual([]);

      const said = (await docker("logs", proxy)).split("\n");
      const used = said.flatMap((line) => (line.startsWith("allowed ") ? [line.slice("allowed ".length)] : []));
      expect(used.toSorted()).toEqual([...ALLOWED_CALLS].sort());
      expect(documentedCalls().toSorted()).toEqual([...ALLOWED_CALLS].sort());
      expect(said.filter((line) => line.startsWith("refused "))).toEqual([]);
    });

    test("the API's container reaches the engine in no other way, and is refused what it does not need", async () => {
      const api = `${platform.instance.name}-api`;
      const escape = { Image: "x", HostConfig: { NetworkMode: "none", Binds: ["/:/host"], Privileged: true } };
      const answers = await askInside(platform.instance.name, [
        ["GET", "/version"],
        ["GET", "/info"],
        ["GET", `/v1.41/containers/${api}/../../info`],
        ["POST", "/v1.41/containers/create", escape],
        ["POST", "/v1.41/images/create?fromSrc=http://10.0.0.1/x"],
      ]);
      expect(answers).toEqual([
        expect.stringMatching(/^200 /),
        expect.stringMatching(/^403 .*not among the platform's calls/),
        expect.stringMatching(/^403 /),
        expect.stringMatching(/^403 .*Labels/),
        expect.stringMatching(/^403 .*fromSrc/),
      ]);

      const look = `const { lstatSync, writeFileSync } = require("node:fs");
        const attempt = (act) => { try { act(); return "done"; } catch (error) { return error.code; } };
        console.log(lstatSync("/var/run/docker.sock").isSocket(),
          attempt(() => writeFileSync("/app/scripts/up.sh", "")), attempt(() => writeFileSync("/app/platform/x", "")));`;
      expect(await runInside(api, look)).toBe("false EROFS EROFS");
    });

    test("the proxy has as much of the processors as the API, which waits for it", async () => {
      const { name } = platform.instance;
      const engine = await engineGroup();
      const [proxy, api] = [await containerGroup(`${name}-socket-proxy`), await containerGroup(`${name}-api`)];
      expect(await beside(proxy, engine)).toMatchObject({ itself: true });
      expect(await beside(proxy, engine)).toEqual(await beside(api, engine));
    });

    test("the API's container gets into no container that is not an environment's", async () => {
      const { name } = platform.instance;
      const neighbour = await addNeighbour(name, `${name}-neighbour`);
      await docker("start", neighbour);
      const command = { Cmd: ["true"], User: "0" };
      for (const other of [neighbour, `${name}-api`, `${name}-socket-proxy`, `${name}-firewall`]) {
        const id = await docker("inspect", "-f", "{{.Id}}", other);
        const looks = await askInside(name, [["GET", `/v1.41/containers/${other}/json`]]);
        expect(looks).toEqual([expect.stringMatching(/^404 .*not an environment's/)]);
        const changes: Call[] = [
          ...[other, id, id.slice(0, 12)].map((called): Call => ["POST", `/v1.41/containers/${called}/exec`, command]),
          ["POST", `/v1.41/containers/${other}/kill?signal=SIGKILL`],
          ["DELETE", `/v1.41/containers/${other}?force=true`],
          ["POST", `/v1.41/exec/${await prepareCommand(other)}/start`, { Detach: true }],
        ];
        const refused = expect.stringMatching(/^403 .*(?:not an environment's|not prepared here)/);
        expect(await askInside(name, changes)).toEqual(changes.map(() => refused));
      }
      const [inNginx] = await askInside(name, [["POST", `/v1.41/containers/${name}-nginx/exec`, command]]);
      expect(inNginx).toMatch(/^403 .*nginx -t/);
      expect(await docker("inspect", "-f", "{{.State.Running}}", neighbour)).toBe("true");
    });

    test("an environment goes although somebody has taken its container's name, and leaves that one alone", async () => {
      const { id, container } = await platform.createDemo();
      await docker("rm", "-f", container);
      await addNeighbour(platform.instance.name, container);
      expectStatus(await platform.api.destroy(id), 200);
      expect(await docker("inspect", "-f", "{{.State.Status}}", container)).toBe("created");
    });
  },
  ["filtered container"],
);
