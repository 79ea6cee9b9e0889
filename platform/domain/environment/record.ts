import { z } from "zod";

/** The version of the state file's shape; raised with every change that an older reader would misread. */
export const RECORD_VERSION = 2;

export const STATUSES = ["creating", "running", "degraded", "destroying"] as const;
export type Status = (typeof STATUSES)[number];

export const OUTAGE_MODES = ["crash", "pause", "network", "stress"] as const;
export type OutageMode = (typeof OUTAGE_MODES)[number];

const timestamp = z.iso.datetime({ precision: 3 });
const dnsLabel = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const objectName = z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,127}$/);

const ResourcesSchema = z.strictObject({
  /** MiB of memory, swap included. */
  memory_mb: z.int().positive(),
  /** CPU cores, fractions allowed. */
  cpus: z.number().positive(),
  /** Processes and threads. */
  pids: z.int().positive(),
});
export type Resources = z.infer<typeof ResourcesSchema>;

const ServiceSchema = z.strictObject({
  name: dnsLabel,
  /** The container's name, for people to read: no decision depends on it. */
  container: objectName,
  image: z.string().min(1),
  port: z.int().min(1).max(65535),
  health_path: z.string().startsWith("/"),
  command: z.array(z.string()).nullable(),
  env: z.record(z.string(), z.string()),
  resources: ResourcesSchema,
});
export type Service = z.infer<typeof ServiceSchema>;

const OutageSchema = z.strictObject({
  mode: z.enum(OUTAGE_MODES),
  service: dnsLabel,
  started_at: timestamp,
  /** When the platform undoes it; null: only a call of recover does. */
  ends_at: timestamp.nullable(),
});
export type Outage = z.infer<typeof OutageSchema>;

/** One environment as its state file holds it. All times are UTC, ISO 8601 with milliseconds. */
export const EnvironmentRecordSchema = z.strictObject({
  version: z.literal(RECORD_VERSION),
  id: dnsLabel,
  /** What the caller asked for, any text; only ever shown, never part of a command, path or config. */
  name: z.string(),
  /** The name of the token it was created with; null where the platform has none. */
  owner: z.string().nullable().default(null),
  status: z.enum(STATUSES),
  created_at: timestamp,
  /** Lifetime in seconds, extensions included: expires_at - created_at. */
  ttl: z.int().positive(),
  expires_at: timestamp,
  /** The network's name, for people to read: no decision depends on it. */
  network: objectName,
  /** Whether its containers may open connections to the outside; false: to nothing but each other. */
  egress: z.boolean().default(true),
  /** The first one is the service behind the environment's URL. */
  services: z.array(ServiceSchema).min(1),
  /** Names of the secrets it was given. Their values are in the secret store and nowhere else. */
  secrets: z.array(z.string()).default([]),
  outage: OutageSchema.nullable(),
  /** The Idempotency-Key it was created under, with a digest of that request. */
  idempotency: z.strictObject({ key: z.string(), digest: z.string() }).nullable(),
});
export type EnvironmentRecord = z.infer<typeof EnvironmentRecordSchema>;

/** The service behind the environment's URL. */
export function primaryService(record: EnvironmentRecord): Service {
  const [service] = record.services;
  if (service === undefined) throw new TypeError(`Record "${record.id}" has no service`);
  return service;
}

/** Whether the environment has come up and is not being destroyed. */
export function isUp({ status }: EnvironmentRecord): boolean {
  return status === "running" || status === "degraded";
}
