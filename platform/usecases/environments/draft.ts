import { randomInt } from "node:crypto";
import { inventName } from "../../domain/environment/names.ts";
import { RECORD_VERSION, type EnvironmentRecord } from "../../domain/environment/record.ts";
import type { EnvironmentSpec } from "../../domain/environment/spec.ts";
import type { ImageFacts } from "../../workloads/workloads.ts";
import type { Needs } from "../deps.ts";

/** Who creates an environment, and under which Idempotency-Key. */
export type Creator = Pick<EnvironmentRecord, "owner" | "idempotency">;

export type Draft = ReturnType<typeof createDraft>;

/** The one service of an environment, until an environment may have several. */
const SERVICE = "app";

/**
 * Makes the record of a new environment, `creating`, with the values that only the image knows filled in. Reserves its
 * network, `fromPool` where one is kept ready: `address_pool_exhausted` when there is none left.
 */
export function createDraft({
  environments,
  workloads,
  clock,
  settings,
  makeId,
}: Needs<"environments" | "workloads" | "clock" | "settings"> & { makeId: (name: string, now: number) => string }) {
  return (spec: EnvironmentSpec, image: ImageFacts, creator: Creator, fromPool = true): EnvironmentRecord => {
    const now = clock.now();
    const name = spec.name ?? inventName(() => randomInt(2 ** 32) / 2 ** 32);
    let id = makeId(name, now);
    while (environments.get(id) !== null) id = makeId(name, now);
    const { egress, health_path, command, env, resources } = spec;
    const { network, containers } = workloads.reserve({ env: id, services: [SERVICE], egress, fromPool });
    const container = containers[SERVICE] ?? "";
    const port = spec.port ?? image.ports[0] ?? settings.defaultPort;
    return {
      version: RECORD_VERSION,
      id,
      name,
      ...creator,
      status: "creating",
      ...lease(spec.ttl, now),
      network,
      egress,
      services: [{ name: SERVICE, container, image: spec.image, port, health_path, command, env, resources }],
      secrets: Object.keys(spec.secrets),
      outage: null,
    };
  };
}

/** A lifetime of `ttl` seconds that begins at `now` (milliseconds since the epoch). */
export function lease(ttl: number, now: number): Pick<EnvironmentRecord, "created_at" | "ttl" | "expires_at"> {
  return { created_at: new Date(now).toISOString(), ttl, expires_at: new Date(now + ttl * 1000).toISOString() };
}
