import { expect, test } from "vitest";
import { buildContainerBody, buildNetworkBody, buildHelperBody } from "./container-spec.ts";
import type { ContainerSpec } from "./engine.ts";

const SPEC: ContainerSpec = {
  name: "sandbox-env-hello-1-app",
  image: "sandbox-demo-app:latest",
  labels: { "sandbox.platform": "sandbox", "sandbox.env": "env-hello-1" },
  env: { ENV_ID: "env-hello-1", GREETING: "a=b c" },
  command: ["node", "server.mjs"],
  network: "sandbox-env-hello-1",
  address: "10.172.0.3",
  aliases: ["app"],
  resources: { memory_mb: 256, cpus: 0.5, pids: 128 },
};

test("a container of an internal network asks no resolver of the machine's", () => {
  expect(buildContainerBody({ ...SPEC, internal: true }).HostConfig).toMatchObject({ Dns: ["127.0.0.1"] });
  expect(buildContainerBody({ ...SPEC, internal: false }).HostConfig).not.toHaveProperty("Dns");
});

test("a container spec becomes exactly this create request", () => {
  expect(buildContainerBody(SPEC)).toStrictEqual({
    Image: "sandbox-demo-app:latest",
    Labels: { "sandbox.platform": "sandbox", "sandbox.env": "env-hello-1" },
    Env: ["ENV_ID=env-hello-1", "GREETING=a=b c"],
    Cmd: ["node", "server.mjs"],
    HostConfig: {
      NetworkMode: "sandbox-env-hello-1",
      Memory: 268_435_456,
      MemorySwap: 268_435_456,
      NanoCpus: 500_000_000,
      PidsLimit: 128,
      CapDrop: ["ALL"],
      CapAdd: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"],
      SecurityOpt: ["no-new-privileges:true"],
      Init: true,
      LogConfig: { Type: "json-file", Config: { "max-size": "50m", "max-file": "2" } },
      RestartPolicy: { Name: "no" },
    },
    NetworkingConfig: {
      EndpointsConfig: {
        "sandbox-env-hello-1": { IPAMConfig: { IPv4Address: "10.172.0.3" }, Aliases: ["app"] },
      },
    },
  });
});

test("the image's own command stays when the spec names none", () => {
  expect(buildContainerBody({ ...SPEC, command: null })).not.toHaveProperty("Cmd");
});

test("a share of a CPU that is no binary fraction is a whole number of nanoseconds", () => {
  const body = buildContainerBody({ ...SPEC, resources: { ...SPEC.resources, cpus: 0.1 + 0.2 } });
  expect(body.HostConfig.NanoCpus).toBe(300_000_000);
});

test("a network spec becomes exactly this create request", () => {
  const spec = {
    name: "sandbox-env-hello-1",
    subnet: "10.172.0.0/28",
    gateway: "10.172.0.1",
    labels: { "sandbox.platform": "sandbox" },
    internal: true,
  };
  expect(buildNetworkBody(spec)).toStrictEqual({
    Name: "sandbox-env-hello-1",
    Driver: "bridge",
    CheckDuplicate: true,
    Internal: true,
    EnableIPv6: false,
    IPAM: { Driver: "default", Config: [{ Subnet: "10.172.0.0/28", Gateway: "10.172.0.1" }] },
    Labels: { "sandbox.platform": "sandbox" },
    Options: { "com.docker.network.bridge.enable_ip_masquerade": "false" },
  });
});

test("a helper container has a command although it never runs, and no network", () => {
  expect(buildHelperBody("tools:1", { "sandbox.role": "helper" })).toStrictEqual({
    Image: "tools:1",
    Labels: { "sandbox.role": "helper" },
    Cmd: ["/never-started"],
    HostConfig: { NetworkMode: "none" },
  });
});
