import type { ContainerSpec, NetworkSpec } from "./engine.ts";

/**
 * What ordinary images need to start as root and drop to their own user: own and read files (CHOWN, DAC_OVERRIDE,
 * FOWNER), change user (SETUID, SETGID), stop their workers after that (KILL), listen on port 80 (NET_BIND_SERVICE).
 * Left out of Docker's own default set: raw sockets, device nodes, chroot, file capabilities and the audit log.
 */
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];

/** A container's output on disk is at most size × files; what is not read before it is rotated away is lost. */
const LOG_OPTIONS = { "max-size": "50m", "max-file": "2" };

/**
 * Older engines hand the names that a container of an internal network asks for to the machine's resolvers
 * (CVE-2024-29018), which is a way out. So its resolver is the container itself, which does not answer and is not
 * waited for. Names of its own network the engine knows.
 */
const NO_RESOLVER = { Dns: ["127.0.0.1"], DnsOptions: ["timeout:1", "attempts:1"] };

const MIB = 1024 * 1024;
const NANO = 1_000_000_000;

/** What the engine's `POST /containers/create` takes. */
export type ContainerBody = ReturnType<typeof buildContainerBody>;

/** The create request for an application container. The name goes beside it, into the query. */
export function buildContainerBody(spec: ContainerSpec) {
  const { memory_mb, cpus, pids } = spec.resources;
  return {
    Image: spec.image,
    Labels: { ...spec.labels },
    Env: Object.entries(spec.env).map(([key, value]) => `${key}=${value}`),
    ...(spec.command === null ? {} : { Cmd: [...spec.command] }),
    HostConfig: {
      NetworkMode: spec.network,
      ...(spec.internal === true ? NO_RESOLVER : {}),
      Memory: memory_mb * MIB,
      // Equal to Memory: no swap on top, so that a limit is a limit.
      MemorySwap: memory_mb * MIB,
      NanoCpus: Math.round(cpus * NANO),
      PidsLimit: pids,
      CapDrop: ["ALL"],
      CapAdd: CAPABILITIES,
      SecurityOpt: ["no-new-privileges:true"],
      // Reaps zombies and gives signals their default meaning, in any image.
      Init: true,
      LogConfig: { Type: "json-file", Config: LOG_OPTIONS },
      // A crash must stay one until it is recovered.
      RestartPolicy: { Name: "no" },
    },
    NetworkingConfig: { EndpointsConfig: { [spec.network]: buildEndpoint(spec.address, spec.aliases) } },
  };
}

/** A place in a network: a fixed address and DNS names. */
export function buildEndpoint(address: string, aliases: string[]) {
  return { IPAMConfig: { IPv4Address: address }, Aliases: aliases };
}

/** The create request for an environment's network. */
export function buildNetworkBody(spec: NetworkSpec) {
  return {
    Name: spec.name,
    Driver: "bridge",
    // Newer engines always check; older ones allow two networks of one name unless asked.
    CheckDuplicate: true,
    Internal: spec.internal,
    EnableIPv6: false,
    IPAM: { Driver: "default", Config: [{ Subnet: spec.subnet, Gateway: spec.gateway }] },
    Labels: { ...spec.labels },
    // The firewall does it for all of them (scripts/firewall/rules.sh): two rules fewer for the engine to set and take away.
    Options: { "com.docker.network.bridge.enable_ip_masquerade": "false" },
  };
}

/** The create request for a container that is never started. Images made from scratch name no command: it gets one. */
export function buildHelperBody(image: string, labels: Record<string, string>) {
  return { Image: image, Labels: { ...labels }, Cmd: ["/never-started"], HostConfig: { NetworkMode: "none" } };
}
