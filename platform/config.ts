import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { isRegistryRule } from "./domain/image-registries.ts";
import { MIN_TTL } from "./domain/environment/lifetime.ts";
import { MAX_PIDS_EACH } from "./domain/access/quota.ts";
import { overlaps, parseAddress, parseSubnet } from "./domain/network/subnets.ts";

const seconds = (fallback: number) => z.coerce.number().int().positive().default(fallback);
/** A limit that is 0 for none, or empty where the machine decides. */
const limitOrAuto = () => z.union([z.literal(""), z.coerce.number().min(0)]).default("");
const bytes = (fallback: number) => z.coerce.number().int().nonnegative().default(fallback);
const port = (fallback: number) => z.coerce.number().int().min(1).max(65535).default(fallback);
const text = (fallback: string) => z.string().trim().min(1).default(fallback);
const subnet = (fallback: string) => text(fallback).refine(isSubnet, "must be an IPv4 subnet such as 10.172.0.0/16");

/** Every setting, with its default. Lengths of time are in seconds, sizes in bytes; `.env.example` explains each. */
const SettingsSchema = z.object({
  INSTANCE: text("sandbox").refine(
    (value) => /^[a-z0-9][a-z0-9-]{0,30}$/.test(value),
    "must be lower-case letters, digits and hyphens, at most 31",
  ),
  PLATFORM_HOST: text("127.0.0.1"),
  PLATFORM_PORT: port(8080),
  API_TOKENS_FILE: z.string().trim().default(""),
  API_HOSTS: z
    .string()
    .trim()
    .default("")
    .refine(
      (value) => splitList(value).every((host) => /^[a-z0-9.:[\]-]+$/.test(host)),
      "must be host names, lower-case, separated by commas",
    ),
  TRUSTED_PROXIES: z
    .string()
    .trim()
    .default("")
    .refine(
      (value) => splitList(value).every(isRange),
      "must be addresses or ranges such as 127.0.0.1 or 10.0.0.0/8, separated by commas, and not everybody's",
    ),
  RATE_LIMIT: z.coerce.number().int().min(0).default(12_000),
  CHANGES_LIMIT: z.coerce.number().int().min(0).default(600),
  NGINX_PORT: port(80),
  BASE_DOMAIN: text("localhost").refine(
    (value) => /^[a-z0-9]([a-z0-9.-]{0,150}[a-z0-9])?$/.test(value),
    "must be a lower-case domain name",
  ),
  PLATFORM_SUBNET: subnet("10.171.0.0/24"),
  NGINX_ADDRESS: text("10.171.0.2").refine(isAddress, "must be an IPv4 address"),
  SUBNET_POOL: subnet("10.172.0.0/16"),
  SUBNET_PREFIX: z.coerce.number().int().min(20).max(29).default(28),
  DOCKER_SOCKET: text("/var/run/docker.sock"),
  IMAGE_REGISTRIES: z
    .string()
    .trim()
    .default("")
    .refine(
      (value) => splitList(value).every(isRegistryRule),
      "must be registries such as ghcr.io or registry.example.com:5000/team, lower-case, separated by commas, or *",
    ),
  DEFAULT_IMAGE: text("sandbox-demo-app:latest"),
  STRESS_IMAGE: text("sandbox-stress-ng:latest"),
  DEFAULT_PORT: port(3000),
  ENVS_DIR: text("envs"),
  LOGS_DIR: text("logs"),
  NGINX_CONF_DIR: text("./nginx/conf.d"),
  DEFAULT_TTL: seconds(1800).pipe(z.number().min(MIN_TTL)),
  MAX_TTL: seconds(86_400).pipe(z.number().min(MIN_TTL)),
  CREATE_TIMEOUT: seconds(30),
  DEFAULT_MEMORY_MB: z.coerce.number().int().min(16).default(256),
  DEFAULT_CPUS: z.coerce.number().positive().default(1),
  DEFAULT_PIDS: z.coerce.number().int().min(8).max(MAX_PIDS_EACH).default(256),
  MAX_ENVS: z.coerce.number().int().min(0).default(200),
  MAX_ENVS_PER_OWNER: z.coerce.number().int().min(0).default(20),
  MAX_MEMORY_MB: limitOrAuto(),
  MAX_CPUS: limitOrAuto(),
  MAX_PIDS: limitOrAuto(),
  NETWORK_POOL_SIZE: z.coerce.number().int().min(0).max(100).default(4),
  WARM_POOL_SIZE: z.coerce.number().int().min(0).max(100).default(2),
  WARM_IMAGES: z.string().trim().default(""),
  CLEANUP_SCHEDULE: text("* * * * *"),
  HEALTH_SCHEDULE: text("*/30 * * * * *"),
  RECONCILE_SCHEDULE: text("15 * * * * *"),
  HEALTH_TIMEOUT: seconds(5),
  HEALTH_CONCURRENCY: z.coerce.number().int().positive().default(256),
  MIN_FREE_DISK: bytes(2 ** 30),
  ARCHIVE_MAX_AGE: seconds(604_800),
  ARCHIVE_MAX_SIZE: bytes(2 ** 30),
  PRUNE_SCHEDULE: text("45 * * * * *"),
  ENGINE_TIMEOUT: seconds(30),
  LOG_MAX_SIZE: z.coerce.number().int().min(1024).default(10_485_760),
  /** For tests of crash recovery alone, so it has no default and no place in .env.example (kernel/failpoint.ts). */
  FAILPOINT_FILE: z.string().optional(),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
});

/** The platform's settings, frozen. */
export type Config = Readonly<z.infer<typeof SettingsSchema>>;

/**
 * Reads the settings from environment variables. An empty variable counts as absent, so that
 * `.env` may name a setting without giving it. Throws an Error that lists every bad one.
 */
export function loadConfig(variables: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(variables).filter(([, value]) => value?.trim()));
  const parsed = SettingsSchema.safeParse(given);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
    throw new Error(`Cannot start with these settings:\n${lines.join("\n")}\nSee .env.example.`);
  }
  const config = parsed.data;
  const problems = contradictions(config);
  if (problems.length > 0)
    throw new Error(`Cannot start with these settings:\n  ${problems.join("\n  ")}\nSee .env.example.`);
  return Object.freeze({
    ...config,
    API_TOKENS_FILE: config.API_TOKENS_FILE === "" ? "" : resolve(config.API_TOKENS_FILE),
    ENVS_DIR: resolve(config.ENVS_DIR),
    LOGS_DIR: resolve(config.LOGS_DIR),
    NGINX_CONF_DIR: resolve(config.NGINX_CONF_DIR),
  });
}

/** Names and defaults of all settings, for the test that keeps `.env.example` true. */
export function defaultSettings(): Record<string, unknown> {
  return SettingsSchema.parse({});
}

function contradictions(config: Config): string[] {
  const problems: string[] = [];
  const pool = parseSubnet(config.SUBNET_POOL);
  if (overlaps(pool, parseSubnet(config.PLATFORM_SUBNET))) problems.push("SUBNET_POOL and PLATFORM_SUBNET overlap");
  if (!overlaps({ base: parseAddress(config.NGINX_ADDRESS), prefix: 32 }, parseSubnet(config.PLATFORM_SUBNET))) {
    problems.push("NGINX_ADDRESS lies outside PLATFORM_SUBNET");
  }
  if (config.SUBNET_PREFIX < pool.prefix) problems.push("SUBNET_PREFIX is shorter than SUBNET_POOL's own prefix");
  if (config.DEFAULT_TTL > config.MAX_TTL) problems.push("DEFAULT_TTL is above MAX_TTL");
  if (config.API_TOKENS_FILE === "" && !isLoopback(config.PLATFORM_HOST)) {
    problems.push(
      `PLATFORM_HOST is ${config.PLATFORM_HOST}: without tokens the API listens on loopback only, since whoever reaches it controls Docker. Make a token (make token NAME=you ROLE=admin) and set API_TOKENS_FILE, or set PLATFORM_HOST=127.0.0.1`,
    );
  }
  return problems;
}

/** The items of a setting such as `API_HOSTS`. */
export function splitList(value: string): string[] {
  return value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** An address, or a range of some. */
function isRange(value: string): boolean {
  const [address = "", prefix, ...more] = value.split("/");
  const longest = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  if (longest === 0 || more.length > 0) return false;
  return prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= longest);
}

function isSubnet(value: string): boolean {
  return succeeds(() => parseSubnet(value));
}

function isAddress(value: string): boolean {
  return succeeds(() => parseAddress(value));
}

function succeeds(fn: () => unknown): boolean {
  try {
    fn();
    return true;
  } catch {
    return false;
  }
}
