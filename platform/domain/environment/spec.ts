import type { Resources } from "./record.ts";

/** A new environment as it will be made: every field of `POST /envs`, with the defaults filled in. */
export type EnvironmentSpec = {
  /** Any text, trimmed; null: invent one. */
  name: string | null;
  /** Seconds. */
  ttl: number;
  image: string;
  /** Null: the lowest port that the image exposes, else DEFAULT_PORT. */
  port: number | null;
  health_path: string;
  /** Null: the image's own. */
  command: string[] | null;
  env: Record<string, string>;
  /** Environment variables that are kept apart from the state file and shown nowhere. */
  secrets: Record<string, string>;
  /** Whether its containers may open connections to the outside. */
  egress: boolean;
  resources: Resources;
};

/** What a caller asks for: any of the spec's fields, and any of its resources. */
export type EnvironmentRequest = {
  [Field in Exclude<keyof EnvironmentSpec, "resources">]?: NonNullable<EnvironmentSpec[Field]> | undefined;
} & { resources?: { [Limit in keyof Resources]?: number | undefined } | undefined };

/** The settings that fill what a caller leaves out. Times in seconds. */
export type SpecDefaults = {
  defaultImage: string;
  defaultTtl: number;
  maxTtl: number;
  defaultResources: Resources;
};

const DEFAULT_HEALTH_PATH = "/health";

/** Fills in every default, once: after this no reader asks what a missing field means. */
export function resolveSpec(request: EnvironmentRequest, defaults: SpecDefaults): EnvironmentSpec {
  const { resources = {} } = request;
  const { memory_mb, cpus, pids } = defaults.defaultResources;
  return {
    name: request.name?.trim() || null,
    ttl: request.ttl ?? Math.min(defaults.defaultTtl, defaults.maxTtl),
    image: request.image ?? defaults.defaultImage,
    port: request.port ?? null,
    health_path: request.health_path ?? DEFAULT_HEALTH_PATH,
    command: request.command ?? null,
    env: request.env ?? {},
    secrets: request.secrets ?? {},
    egress: request.egress ?? true,
    resources: {
      memory_mb: resources.memory_mb ?? memory_mb,
      cpus: resources.cpus ?? cpus,
      pids: resources.pids ?? pids,
    },
  };
}

/**
 * Whether a warm environment of the image can be this one, since nothing but image and lifetime is chosen: a name is
 * part of the id, and everything else is part of the container.
 */
export function isPlain(spec: EnvironmentSpec, defaults: SpecDefaults): boolean {
  const plain = resolveSpec({ image: spec.image, ttl: spec.ttl }, defaults);
  return JSON.stringify(spec) === JSON.stringify(plain);
}
