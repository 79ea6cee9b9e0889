import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { environmentLabels, pooledNetworkLabels } from "../platform/domain/environment/labels.ts";
import { containerName, networkName, pooledNetworkName } from "../platform/workloads/docker/environment-network.ts";
import { buildContainerBody, buildNetworkBody, buildHelperBody } from "../platform/workloads/docker/container-spec.ts";
import { ask, command, CREATE, idOf, LIST, open, startProxy, HELPER } from "./test-engine.ts";
import { waitUntil } from "../platform/test/support/wait-until.ts";

describe("the socket proxy lets through", () => {
  test.each([
    ["GET", "/version"],
    ["GET", LIST],
    ["GET", "/networks"],
    ["GET", "/images/registry.example:5000/team/app:1.2@sha256:0af/json"],
    ["POST", "/images/create?fromImage=demo&tag=1"],
  ])("%s %s unchanged", async (method, path) => {
    const { path: proxy, seen } = await startProxy();
    expect(await ask(proxy, method, path)).toEqual({ status: 200, text: "engine" });
    expect(seen).toMatchObject([{ method, url: `/v1.41${path}` }]);
  });

  test.each([
    ["POST", "sandbox-env-x-app", "/kill?signal=SIGKILL"],
    ["DELETE", "sandbox-env-x-app", "?force=true&v=true"],
    ["GET", "sandbox-env-x-app", "/logs?follow=true&stdout=true"],
    ["GET", "sandbox-helper-1", "/archive?path=%2Ftools"],
    ["DELETE", "sandbox-helper-1", "?force=true"],
    ["POST", "sandbox-nginx", "/kill?signal=SIGHUP"],
    ["POST", "sandbox-nginx", "/kill?signal=SIGKILL"],
    ["POST", "sandbox-nginx", "/start"],
    ["POST", "sandbox-nginx", "/unpause"],
  ])("%s /containers/%s%s, by the id of the container", async (method, name, rest) => {
    const { path, seen } = await startProxy();
    expect(await ask(path, method, `/containers/${name}${rest}`)).toEqual({ status: 200, text: "engine" });
    expect(seen).toMatchObject([{ method, url: `/v1.41/containers/${idOf(name)}${rest}` }]);
  });

  test("inspections of an environment's container, Nginx, an environment's network and the platform's own", async () => {
    const { path } = await startProxy();
    for (const name of ["sandbox-env-x-app", "sandbox-nginx"]) {
      const { status, text } = await ask(path, "GET", `/containers/${name}/json`);
      expect({ status, body: JSON.parse(text) }).toMatchObject({ status: 200, body: { Id: idOf(name), Name: name } });
    }
    for (const name of ["sandbox-env-x", "sandbox"]) {
      expect(await ask(path, "GET", `/networks/${name}`)).toMatchObject({ status: 200 });
    }
  });

  test("creates of containers, helpers and networks as the platform makes them, with their whole bodies", async () => {
    const { path, seen } = await startProxy();
    const subnet = "10.172.0.16/28";
    const spec = {
      name: containerName("sandbox", "env-x", "app"),
      image: "demo",
      labels: environmentLabels("sandbox", "env-x", "app", "app"),
      env: { A: "b" },
      command: ["serve"],
      network: pooledNetworkName("sandbox", subnet),
      address: "10.172.0.19",
      aliases: ["app"],
      resources: { memory_mb: 128, cpus: 1, pids: 64 },
      internal: true,
    };
    const place = { subnet, gateway: "10.172.0.17", internal: true };
    const [name, labels] = [networkName("sandbox", "env-x"), environmentLabels("sandbox", "env-x", "network")];
    const prepared = { name: spec.network, labels: pooledNetworkLabels("sandbox") };
    const calls: [string, object][] = [
      [`/containers/create?name=${spec.name}`, buildContainerBody(spec)],
      [CREATE, buildContainerBody({ ...spec, network: name, internal: false })],
      ["/containers/create?name=sandbox-helper-1", buildHelperBody("demo", HELPER)],
      ["/networks/create", buildNetworkBody({ name, labels, ...place })],
      ["/networks/create", buildNetworkBody({ ...prepared, ...place })],
    ];
    for (const [url, body] of calls) expect(await ask(path, "POST", url, body)).toMatchObject({ status: 200 });
    expect(seen.map(({ body }) => JSON.parse(body))).toEqual(calls.map(([, body]) => body));
  });

  test.each([
    ["sandbox-env-x", "sandbox-env-x-app"],
    ["sandbox-net-10-172-0-0-28", "sandbox-nginx"],
    ["sandbox", "sandbox-nginx"],
  ])("a connection to network %s of %s, both by id", async (name, who) => {
    const { path, seen } = await startProxy();
    const body = { Container: who, EndpointConfig: { IPAMConfig: { IPv4Address: "10.172.0.2" }, Aliases: [] } };
    expect(await ask(path, "POST", `/networks/${name}/connect`, body)).toMatchObject({ status: 200 });
    expect(seen[0]?.url).toBe(`/v1.41/networks/${idOf(name)}/connect`);
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({ ...body, Container: idOf(who) });
  });

  test("a disconnection of any container from an environment's network, and the network's removal", async () => {
    const { path, seen } = await startProxy();
    const body = { Container: "database", Force: true };
    expect(await ask(path, "POST", "/networks/sandbox-env-x/disconnect", body)).toMatchObject({ status: 200 });
    expect(await ask(path, "DELETE", "/networks/sandbox-env-x")).toMatchObject({ status: 200 });
    expect(seen).toMatchObject([{ body: JSON.stringify(body) }, { url: `/v1.41/networks/${idOf("sandbox-env-x")}` }]);
  });

  test("a disconnection of Nginx from an environment's network that is gone, by the network's name", async () => {
    const { path, seen } = await startProxy();
    const body = { Container: "sandbox-nginx", Force: true };
    expect(await ask(path, "POST", "/networks/sandbox-env-gone/disconnect", body)).toMatchObject({ status: 200 });
    expect(seen).toMatchObject([{ url: "/v1.41/networks/sandbox-env-gone/disconnect" }]);
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({ ...body, Container: idOf("sandbox-nginx") });
  });

  test("a command, its start without an upgrade of the connection, and its inspection", async () => {
    const { path, seen } = await startProxy();
    const prepared = await ask(path, "POST", "/containers/sandbox-env-x-app/exec", command("sh", "-c", "id"));
    expect(prepared).toEqual({ status: 201, text: '{"Id":"prepared"}' });
    const headers = { connection: "Upgrade", upgrade: "tcp" };
    expect(await ask(path, "POST", "/exec/prepared/start", { Detach: false }, headers)).toMatchObject({ status: 200 });
    expect(await ask(path, "GET", "/exec/prepared/json")).toMatchObject({ status: 200 });
    expect(seen[1]?.headers).not.toHaveProperty("upgrade");
    expect(seen[1]?.body).toBe('{"Detach":false}');
  });

  test("nginx -t in Nginx's container", async () => {
    const { path } = await startProxy();
    const prepared = await ask(path, "POST", "/containers/sandbox-nginx/exec", command("nginx", "-t"));
    expect(prepared).toMatchObject({ status: 201 });
  });

  test("a whole archive", async () => {
    const { path, seen } = await startProxy();
    const archive = "x".repeat(2 ** 20);
    const headers = { "content-type": "application/tar" };
    const put = await ask(path, "PUT", "/containers/sandbox-env-x-app/archive?path=%2F", archive, headers);
    expect(put).toMatchObject({ status: 200 });
    expect(seen[0]?.body).toBe(archive);
  });

  test("an endless answer piece by piece, until its client leaves", async () => {
    let left = false;
    const { path } = await startProxy((response) => {
      response.write("first");
      response.on("close", () => (left = true));
    });
    const response = await open(path, "GET", "/containers/sandbox-env-x-app/logs?follow=true");
    const [chunk] = (await once(response, "data")) as [Buffer];
    expect(chunk.toString()).toBe("first");
    response.destroy();
    await waitUntil("the end of the engine's connection", () => left);
  });
});

test("the socket proxy passes on the engine's 404 for an object that does not exist", async () => {
  const { path, seen, refusals } = await startProxy();
  const answer = await ask(path, "POST", "/containers/gone/start");
  expect(answer).toEqual({ status: 404, text: '{"message":"No such object"}' });
  expect({ seen, refusals }).toEqual({ seen: [], refusals: [] });
});

test("the socket proxy passes on no body that the engine could read as parameters", async () => {
  const { path, seen } = await startProxy();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  await ask(path, "POST", "/images/create?fromImage=demo&tag=1", "fromSrc=http://10.0.0.1/x", headers);
  expect(seen).toMatchObject([{ body: "", headers: { "content-length": "0" } }]);
  expect(seen[0]?.headers).not.toHaveProperty("content-type");
});

test("the socket proxy answers 502 when the engine does not answer", async () => {
  const { path, engine } = await startProxy();
  engine.close();
  const failure = { status: 502, text: expect.stringContaining("engine") };
  expect(await ask(path, "GET", "/version")).toMatchObject(failure);
  expect(await ask(path, "POST", "/containers/sandbox-env-x-app/start")).toMatchObject(failure);
});
