import { randomInt } from "node:crypto";
import {
  RECORD_VERSION,
  type EnvironmentRecord,
  type NetworkRecord,
  type Resources,
} from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { containerName, inventName, networkName } from "../../domain/environment/names.ts";
import { networkPlaces, parseSubnet, serviceAddress, type Subnet } from "../../domain/network/subnets.ts";
import type { Context } from "../context.ts";

/** What a caller may ask of a new environment; everything else gets its default. */
export type CreateRequest = {
  name?: string | undefined;
  /** Seconds. */
  ttl?: number | undefined;
  image?: string | undefined;
  port?: number | undefined;
  health_path?: string | undefined;
  command?: string[] | undefined;
  env?: Record<string, string> | undefined;
  /** Environment variables that are kept apart from the state file and shown nowhere. */
  secrets?: Record<string, string> | undefined;
  /** Whether it may reach the outside; true by default. */
  egress?: boolean | undefined;
  resources?: Partial<{ [K in keyof Resources]: Resources[K] | undefined }> | undefined;
};

/** The one service of an environment, until an environment may have several. */
const SERVICE = "app";

/**
 * The record of an environment as it is asked for, `creating`, with everything that was not said filled in.
 * Takes a subnet, and with it `ready`, a network made ahead, where there is one. `address_pool_exhausted`
 * when there is none left.
 */
export function draftRecord(
  context: Context,
  request: CreateRequest & { image: string; port: number },
  given: Pick<EnvironmentRecord, "owner" | "idempotency"> & { resources: Resources },
  ready: NetworkRecord | null = null,
): EnvironmentRecord {
  const { settings, clock, makeId, environments } = context;
  const now = clock.now();
  const name = request.name?.trim() || inventName(() => randomInt(2 ** 32) / 2 ** 32);
  let id = makeId(name, now);
  while (environments.get(id) !== null) id = makeId(name, now);
  const network = ready ?? newNetwork(context, networkName(settings.instance, id));
  return {
    version: RECORD_VERSION,
    id,
    name,
    owner: given.owner,
    status: "creating",
    ...lease(context, request.ttl),
    network,
    egress: request.egress ?? true,
    services: [
      {
        name: SERVICE,
        container: containerName(settings.instance, id, SERVICE),
        image: request.image,
        address: serviceAddress(parseSubnet(network.subnet), 0),
        port: request.port,
        health_path: request.health_path ?? "/health",
        command: request.command ?? null,
        env: request.env ?? {},
        resources: given.resources,
      },
    ],
    secrets: Object.keys(request.secrets ?? {}),
    outage: null,
    idempotency: given.idempotency,
  };
}

/** A lifetime that begins now; `ttl` in seconds, the default where none is asked for. */
export function lease(
  { settings, clock }: Pick<Context, "settings" | "clock">,
  ttl: number = Math.min(settings.defaultTtl, settings.maxTtl),
): Pick<EnvironmentRecord, "created_at" | "ttl" | "expires_at"> {
  const now = clock.now();
  return {
    created_at: new Date(now).toISOString(),
    ttl,
    expires_at: new Date(now + ttl * 1000).toISOString(),
  };
}

/** What is promised to an environment: what it asks for, and the defaults for the rest. */
export function resourcesOf({ settings }: Pick<Context, "settings">, { resources }: CreateRequest): Resources {
  const { memory_mb, cpus, pids } = settings.defaultResources;
  return {
    memory_mb: resources?.memory_mb ?? memory_mb,
    cpus: resources?.cpus ?? cpus,
    pids: resources?.pids ?? pids,
  };
}

function newNetwork({ subnets }: Context, name: string): NetworkRecord {
  return { name, ...networkPlaces(takeSubnet({ subnets })) };
}

/** A free subnet; `address_pool_exhausted`, with the numbers, when there is none. */
export function takeSubnet({ subnets }: Pick<Context, "subnets">): Subnet {
  const subnet = subnets.take();
  if (subnet !== null) return subnet;
  const { used, total } = subnets.usage();
  throw new PlatformError(
    "address_pool_exhausted",
    `Cannot create an environment: ${used} of ${total} subnets are in use. Destroy some environments or enlarge SUBNET_POOL.`,
  );
}
