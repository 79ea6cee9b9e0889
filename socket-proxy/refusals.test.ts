import { describe, expect, test } from "vitest";
import { APP, ask, command, CREATE, LIST, NETWORKS, OURS, startProxy, HELPER, withVersion } from "./test-engine.ts";

const LOG = { "max-size": "50m", "max-file": "2" };
const container = (host: object = {}, more: object = {}) => ({
  Image: "demo",
  Labels: APP,
  HostConfig: {
    NetworkMode: "sandbox-env-x",
    Memory: 2 ** 26,
    MemorySwap: 2 ** 26,
    NanoCpus: 1e9,
    PidsLimit: 64,
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges:true"],
    LogConfig: { Type: "json-file", Config: LOG },
    ...host,
  },
  ...more,
});
/** A container whose log has other options. */
const log = (options: object | undefined) => container({ LogConfig: { Type: "json-file", Config: options } });
const endpoint = (network: string, more: object = {}) => ({
  NetworkingConfig: { EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: "10.172.0.3" }, ...more } } },
});
const helper = (host: object = {}, labels: object = HELPER) => ({
  Image: "demo",
  Labels: labels,
  Cmd: ["/never-started"],
  HostConfig: { NetworkMode: "none", ...host },
});
const masquerade = (value: string) => ({ "com.docker.network.bridge.enable_ip_masquerade": value });
const network = (more: object = {}) => ({
  Name: "sandbox-env-x",
  Driver: "bridge",
  Labels: NETWORKS["sandbox-env-x"],
  Options: masquerade("false"),
  IPAM: { Driver: "default", Config: [{ Subnet: "10.172.0.16/28", Gateway: "10.172.0.17" }] },
  ...more,
});

/** A call that the proxy refuses: title, method, path, body. */
type Refused = [title: string, method: string, path: string, body?: unknown];

const onNetwork = (name: string, who: string, more: object = {}): [string, string, object] => [
  "POST",
  `/networks/${name}/connect`,
  { Container: who, EndpointConfig: { IPAMConfig: { IPv4Address: "10.172.0.2" }, ...more } },
];

const UNTOUCHABLE = [
  "sandbox-api",
  "sandbox-socket-proxy",
  "sandbox-firewall",
  "without-a-role",
  "another-platforms",
  "database",
];

const REFUSED: Refused[] = [
  ...UNTOUCHABLE.flatMap((name): Refused[] => [
    [`a command in ${name}`, "POST", `/containers/${name}/exec`, command("node", "-e", "0")],
    [`a kill of ${name}`, "POST", `/containers/${name}/kill?signal=SIGKILL`],
    [`a pause of ${name}`, "POST", `/containers/${name}/pause`],
    [`the removal of ${name}`, "DELETE", `/containers/${name}?force=true&v=true`],
    [`a file from ${name}`, "GET", `/containers/${name}/archive?path=/`],
    [`a file into ${name}`, "PUT", `/containers/${name}/archive?path=/`, "tar"],
    [`the logs of ${name}`, "GET", `/containers/${name}/logs?stdout=true`],
    [`a connection of ${name} to a network`, ...onNetwork("sandbox-env-x", name)],
  ]),

  ["another command in Nginx's container", "POST", "/containers/sandbox-nginx/exec", command("sh", "-c", "nginx -t")],
  ["nginx -t with more arguments", "POST", "/containers/sandbox-nginx/exec", command("nginx", "-t", "-c", "/tmp/x")],
  ["another signal for Nginx", "POST", "/containers/sandbox-nginx/kill?signal=SIGSTOP"],
  ["a kill of Nginx with Docker's default signal", "POST", "/containers/sandbox-nginx/kill"],
  ["the removal of Nginx", "DELETE", "/containers/sandbox-nginx?force=true"],
  ["a file into Nginx", "PUT", "/containers/sandbox-nginx/archive?path=/", "tar"],
  ["the start of a helper", "POST", "/containers/sandbox-helper-1/start"],
  ["a connection of a helper to a network", ...onNetwork("sandbox-env-x", "sandbox-helper-1")],
  ["a command that was prepared elsewhere", "POST", "/exec/abc/start", { Detach: false }],
  ["an inspection of a command that was prepared elsewhere", "GET", "/exec/abc/json"],

  ["a connection of an app to a network of others", ...onNetwork("databases", "sandbox-env-x-app")],
  ["a connection of an app to the platform's network", ...onNetwork("sandbox", "sandbox-env-x-app")],
  [
    "a connection with the id of another network",
    ...onNetwork("sandbox-env-x", "sandbox-env-x-app", { NetworkID: "abc" }),
  ],
  ["a container whose name is a path", ...onNetwork("sandbox-env-x", "../networks/sandbox-env-x")],
  ["the removal of a network of others", "DELETE", "/networks/databases"],
  ["the removal of the platform's network", "DELETE", "/networks/sandbox"],
  ["a disconnection from a network of others", "POST", "/networks/databases/disconnect", { Container: "database" }],
  [
    "a disconnection of Nginx from the platform's network",
    "POST",
    "/networks/sandbox/disconnect",
    { Container: "sandbox-nginx" },
  ],
  [
    "a disconnection from a missing network without an environment's name",
    "POST",
    "/networks/gone/disconnect",
    { Container: "sandbox-nginx" },
  ],
  [
    "a disconnection of another's container from a missing network",
    "POST",
    "/networks/sandbox-env-gone/disconnect",
    { Container: "database" },
  ],
  ["a list of all containers", "GET", "/containers/json?all=true"],
  ["a list by another label", "GET", LIST.replace("platform", "role")],

  ["a call that is not in the list", "GET", "/info"],
  ["another method", "POST", "/containers/json"],
  ["a path that goes up", "GET", "/containers/../images/x/json"],
  ["an image that goes up", "GET", "/images/x/../../info/json"],
  ["an encoded path", "GET", "/containers/%2e%2e/json"],
  ["an old version, whose calls take more", "POST", "/v1.23/containers/sandbox-env-x-app/start"],
  ["a build", "POST", "/build"],
  ["an address to fetch from", "POST", "/images/create?fromSrc=http://10.0.0.1/x"],
  ["an address to fetch from beside an image", "POST", "/images/create?fromImage=demo&tag=1&fromSrc=http://10.0.0.1/x"],
  ["a parameter given twice", "POST", "/containers/sandbox-nginx/kill?signal=SIGHUP&signal=SIGKILL"],

  ["a container without our label", "POST", CREATE, container({}, { Labels: { ...APP, "sandbox.platform": "x" } })],
  ["a container without labels", "POST", CREATE, container({}, { Labels: undefined })],
  ["a container of no environment", "POST", CREATE, container({}, { Labels: { ...OURS, "sandbox.role": "app" } })],
  ["a helper in Nginx's role", "POST", CREATE, helper({}, { ...OURS, "sandbox.role": "nginx" })],
  ["a container in Nginx's role", "POST", CREATE, container({}, { Labels: { ...APP, "sandbox.role": "nginx" } })],
  ["a container under the proxy's name", "POST", "/containers/create?name=sandbox-socket-proxy", container()],
  ["a container without a name", "POST", "/containers/create", container()],
  [
    "a helper with a network",
    "POST",
    "/containers/create?name=sandbox-helper-1",
    helper({ NetworkMode: "sandbox-env-x" }),
  ],
  ["a helper in an app's name", "POST", CREATE, helper()],
  ["a container with folders of the machine", "POST", CREATE, container({ Binds: ["/:/host"] })],
  [
    "a helper with folders of the machine",
    "POST",
    "/containers/create?name=sandbox-helper-1",
    helper({ Binds: ["/:/host"] }),
  ],
  ["HostConfig in other letters", "POST", CREATE, container({}, { hostconfig: { Privileged: true } })],
  ["a privileged container", "POST", CREATE, container({ Privileged: true })],
  ["a container on the machine's network", "POST", CREATE, container({ NetworkMode: "host" })],
  ["a container on a network of others", "POST", CREATE, container({ NetworkMode: "databases" })],
  ["a container on the platform's network", "POST", CREATE, container({ NetworkMode: "sandbox" })],
  [
    "a container on another container's network",
    "POST",
    CREATE,
    container({ NetworkMode: "container:sandbox-env-x-app" }),
  ],
  ["a container on a second network", "POST", CREATE, container({}, endpoint("databases"))],
  [
    "a container with the id of another network",
    "POST",
    CREATE,
    container({}, endpoint("sandbox-env-x", { NetworkID: "abc" })),
  ],
  ["a container with more capabilities", "POST", CREATE, container({ CapAdd: ["SYS_ADMIN"] })],
  ["a container with the engine's own capabilities", "POST", CREATE, container({ CapDrop: undefined })],
  ["a container with weaker SecurityOpt", "POST", CREATE, container({ SecurityOpt: ["seccomp=unconfined"] })],
  ["a container without SecurityOpt", "POST", CREATE, container({ SecurityOpt: undefined })],
  ["a container with empty SecurityOpt", "POST", CREATE, container({ SecurityOpt: [] })],
  ...["Memory", "MemorySwap", "NanoCpus", "PidsLimit"].flatMap((limit): Refused[] => [
    [`a container without ${limit}`, "POST", CREATE, container({ [limit]: undefined })],
    ...[0, -1, 0.5, "64", null].map((value): Refused => {
      return [`a container with ${limit} ${JSON.stringify(value)}`, "POST", CREATE, container({ [limit]: value })];
    }),
  ]),
  ["a container with swap on top of its memory", "POST", CREATE, container({ MemorySwap: 2 ** 27 })],
  [
    "a container with a second log type",
    "POST",
    CREATE,
    container({ LogConfig: { Type: "json-file", type: "syslog", Config: LOG } }),
  ],
  ["a container with another kind of log", "POST", CREATE, container({ LogConfig: { Type: "syslog", Config: LOG } })],
  ["a container with the engine's own log", "POST", CREATE, container({ LogConfig: undefined })],
  ["a container with a log without options", "POST", CREATE, log(undefined)],
  ["a container with a log without a size", "POST", CREATE, log({ "max-file": "2" })],
  ["a container with a log of any number of files", "POST", CREATE, log({ "max-size": "50m" })],
  ["a container with a larger log", "POST", CREATE, log({ ...LOG, "max-size": "-1" })],
  ["a container with a log with more options", "POST", CREATE, log({ ...LOG, tag: "x" })],
  ["a container without limits of any kind", "POST", CREATE, { Image: "demo", Labels: APP }],
  ["a body that is not an object", "POST", CREATE, "text"],
  ["a privileged command", "POST", "/containers/sandbox-env-x-app/exec", { Cmd: ["id"], Privileged: true }],
  ["a network without our label", "POST", "/networks/create", network({ Labels: { "sandbox.role": "network" } })],
  ["a network that looks like the platform's", "POST", "/networks/create", network({ Labels: OURS })],
  ["a network under a name of others", "POST", "/networks/create", network({ Name: "databases" })],
  ["a network with another driver", "POST", "/networks/create", network({ Driver: "macvlan" })],
  ["a network with an unknown option", "POST", "/networks/create", network({ Options: { x: "docker0" } })],
  ["a network without options", "POST", "/networks/create", network({ Options: {} })],
  ["a network with Docker's masquerading", "POST", "/networks/create", network({ Options: masquerade("true") })],
  ...["10.0.0.0/8", "10.172.0.0/8", "192.0.2.0/28", "10.172.0.0", "text"].map((subnet): Refused => {
    const IPAM = { Driver: "default", Config: [{ Subnet: subnet }] };
    return [`a network outside the pool, ${subnet}`, "POST", "/networks/create", network({ IPAM })];
  }),
];

test("the socket proxy lets through the container that the refused ones vary", async () => {
  const { path } = await startProxy();
  expect(await ask(path, "POST", CREATE, container())).toMatchObject({ status: 200 });
});

describe("the socket proxy answers 403 and does not call the engine for", () => {
  test.each(REFUSED)("%s", async (_, method, url, body) => {
    const { path, seen, refusals } = await startProxy();
    const { status, text } = await ask(path, method, url, body);
    expect({ status, seen }).toEqual({ status: 403, seen: [] });
    expect(JSON.parse(text)).toEqual({ message: expect.stringContaining("socket proxy") });
    expect(refusals).toEqual([expect.stringContaining(`${method} ${withVersion(url).split("?", 1)[0]}`)]);
  });
});

test.each([...UNTOUCHABLE.map((name) => `/containers/${name}/json`), "/networks/databases"])(
  "the socket proxy answers 404 to GET %s, an object that is not the platform's",
  async (url) => {
    const { path, refusals } = await startProxy();
    const { status, text } = await ask(path, "GET", url);
    expect({ status, body: JSON.parse(text) }).toEqual({ status: 404, body: { message: expect.any(String) } });
    expect(text).not.toContain("A=b");
    expect(refusals).toHaveLength(1);
  },
);
