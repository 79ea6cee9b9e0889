import { randomInt } from "node:crypto";
import { inventName } from "../../domain/environment/names.ts";
import { RECORD_VERSION, type EnvironmentRecord } from "../../domain/environment/record.ts";
import type { EnvironmentSpec } from "../../domain/environment/spec.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { ImageFacts, Workloads } from "../../workloads/workloads.ts";

/** Who creates an environment, and under which Idempotency-Key. */
export type Creator = Pick<EnvironmentRecord, "owner" | "idempotency">;

export type DraftDeps = {
  environments: Pick<EnvironmentStore, "get">;
  workloads: Pick<Workloads, "reserve">;
  clock: Pick<Clock, "now">;
  makeId: (name: string, now: number) => string;
  settings: { defaultPort: number };
};

/**
 * Makes the record of a new environment, `creating`, with the values that only the image knows filled in. Reserves its
 * network: `address_pool_exhausted` when there is none left.
 */
export type Draft = (spec: EnvironmentSpec, image: ImageFacts, creator: Creator) => EnvironmentRecord;

/** The one service of an environment, until an environment may have several. */
const SERVICE = "app";

export function createDraft({ environments, workloads, clock, makeId, settings }: DraftDeps): Draft {
  return (spec, image, creator) => {
    const now = clock.now();
    const name = spec.name ?? inventName(() => randomInt(2 ** 32) / 2 ** 32);
    let id = makeId(name, now);
    while (environments.get(id) !== null) id = makeId(name, now);
    const { network, containers } = workloads.reserve({ env: id, services: [SERVICE], egress: spec.egress });
    return {
      version: RECORD_VERSION,
      id,
      name,
      ...creator,
      status: "creating",
      ...lease(spec.ttl, now),
      network,
      egress: spec.egress,
      services: [
        {
          name: SERVICE,
          container: containers[SERVICE] ?? "",
          image: spec.image,
          port: spec.port ?? image.ports[0] ?? settings.defaultPort,
          health_path: spec.health_path,
          command: spec.command,
          env: spec.env,
          resources: spec.resources,
        },
      ],
      secrets: Object.keys(spec.secrets),
      outage: null,
    };
  };
}

/** A lifetime of `ttl` seconds that begins at `now` (milliseconds since the epoch). */
export function lease(ttl: number, now: number): Pick<EnvironmentRecord, "created_at" | "ttl" | "expires_at"> {
  return {
    created_at: new Date(now).toISOString(),
    ttl,
    expires_at: new Date(now + ttl * 1000).toISOString(),
  };
}
