import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { MAX_PIDS_EACH } from "./domain/access/quota.ts";
import { MIN_TTL } from "./domain/environment/lifetime.ts";
import { isRegistryRule } from "./domain/image-registries.ts";
import { formatSubnet, overlaps, parseAddress, parseSubnet, readRange } from "./domain/network/subnets.ts";

const integer = (fallback: number, min: number, max = Number.MAX_SAFE_INTEGER) =>
  z.coerce.number().int().min(min).max(max).default(fallback);
const seconds = (fallback: number) => integer(fallback, 1);
const port = (fallback: number) => integer(fallback, 1, 65_535);
/** A limit that is 0 for none, or empty where the machine decides. */
const limitOrAuto = () => z.union([z.literal(""), z.coerce.number().min(0)]).default("");
const text = (fallback: string) => z.string().trim().min(1).default(fallback);
const matching = (fallback: string, pattern: RegExp, rule: string) =>
  z.string().trim().regex(pattern, rule).default(fallback);
const list = (isItem: (item: string) => boolean, rule: string) =>
  z
    .string()
    .trim()
    .default("")
    .refine((value) => splitList(value).every(isItem), rule);
const subnet = (fallback: string) => text(fallback).refine(isSubnet, "must be an IPv4 subnet such as 10.172.0.0/16");

/** Every setting, with its default. Lengths of time are in seconds, sizes in bytes; `.env.example` explains each. */
const SettingsSchema = z.object({
  INSTANCE: matching(
    "sandbox",
    /^[a-z0-9][a-z0-9-]{0,30}$/,
    "must be lower-case letters, digits and hyphens, at most 31",
  ),
  PLATFORM_HOST: text("127.0.0.1"),
  PLATFORM_PORT: port(8080),
  API_TOKENS_FILE: z.string().trim().default(""),
  API_HOSTS: list((host) => /^[a-z0-9.:[\]-]+$/.test(host), "must be host names, lower-case, separated by commas"),
  TRUSTED_PROXIES: list(
    isRange,
    "must be addresses or ranges such as 127.0.0.1 or 10.0.0.0/8, separated by commas, and not everybody's",
  ),
  RATE_LIMIT: integer(12_000, 0),
  CHANGES_LIMIT: integer(600, 0),
  NGINX_PORT: port(80),
  BASE_DOMAIN: matching("localhost", /^[a-z0-9]([a-z0-9.-]{0,150}[a-z0-9])?$/, "must be a lower-case domain name"),
  PLATFORM_SUBNET: subnet("10.171.0.0/24"),
  NGINX_ADDRESS: text("10.171.0.2").refine((value) => isIP(value) === 4, "must be an IPv4 address"),
  SUBNET_POOL: subnet("10.172.0.0/16"),
  SUBNET_PREFIX: integer(28, 20, 29),
  DOCKER_SOCKET: text("/var/run/docker.sock"),
  IMAGE_REGISTRIES: list(
    isRegistryRule,
    "must be registries such as ghcr.io or registry.example.com:5000/team, lower-case, separated by commas, or *",
  ),
  DEFAULT_IMAGE: text("sandbox-demo-app:latest"),
  STRESS_IMAGE: text("sandbox-stress-ng:latest"),
  DEFAULT_PORT: port(3000),
  ENVS_DIR: text("envs"),
  LOGS_DIR: text("logs"),
  NGINX_CONF_DIR: text("./nginx/conf.d"),
  DEFAULT_TTL: integer(1800, MIN_TTL),
  MAX_TTL: integer(86_400, MIN_TTL),
  CREATE_TIMEOUT: seconds(30),
  DEFAULT_MEMORY_MB: integer(256, 16),
  DEFAULT_CPUS: z.coerce.number().positive().default(1),
  DEFAULT_PIDS: integer(256, 8, MAX_PIDS_EACH),
  MAX_ENVS: integer(200, 0),
  MAX_ENVS_PER_OWNER: integer(20, 0),
  MAX_MEMORY_MB: limitOrAuto(),
  MAX_CPUS: limitOrAuto(),
  MAX_PIDS: limitOrAuto(),
  NETWORK_POOL_SIZE: integer(4, 0, 100),
  WARM_POOL_SIZE: integer(2, 0, 100),
  WARM_IMAGES: z.string().trim().default(""),
  CLEANUP_SCHEDULE: text("* * * * *"),
  HEALTH_SCHEDULE: text("*/30 * * * * *"),
  RECONCILE_SCHEDULE: text("15 * * * * *"),
  HEALTH_TIMEOUT: seconds(5),
  HEALTH_CONCURRENCY: integer(256, 1),
  MIN_FREE_DISK: integer(2 ** 30, 0),
  ARCHIVE_MAX_AGE: seconds(604_800),
  ARCHIVE_MAX_SIZE: integer(2 ** 30, 0),
  PRUNE_SCHEDULE: text("45 * * * * *"),
  ENGINE_TIMEOUT: seconds(30),
  LOG_MAX_SIZE: integer(10_485_760, 1024),
  /** For tests of crash recovery alone, so it has no default and no place in .env.example (kernel/failpoint.ts). */
  FAILPOINT_FILE: z.string().optional(),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
});

/** The platform's settings, frozen. */
export type Config = Readonly<z.infer<typeof SettingsSchema>>;

/**
 * Reads the settings from environment variables. An empty variable counts as absent, so that `.env` may name a setting
 * without giving it. Throws an Error that lists every bad one.
 */
export function loadConfig(variables: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(variables).filter(([, value]) => value?.trim()));
  const { data: config, error } = SettingsSchema.safeParse(given);
  if (config === undefined) throw badSettings(error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`));
  const problems = contradictions(config);
  if (problems.length > 0) throw badSettings(problems);
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

function badSettings(problems: string[]): Error {
  return new Error(`Cannot start with these settings:\n  ${problems.join("\n  ")}\nSee .env.example.`);
}

function contradictions(config: Config): string[] {
  const problems: string[] = [];
  const [pool, platform] = [parseSubnet(config.SUBNET_POOL), parseSubnet(config.PLATFORM_SUBNET)];
  if (overlaps(pool, platform)) problems.push("SUBNET_POOL and PLATFORM_SUBNET overlap");
  if (!overlaps({ base: parseAddress(config.NGINX_ADDRESS), prefix: 32 }, platform))
    problems.push("NGINX_ADDRESS lies outside PLATFORM_SUBNET");
  if (config.SUBNET_PREFIX < pool.prefix) problems.push("SUBNET_PREFIX is shorter than SUBNET_POOL's own prefix");
  if (config.DEFAULT_TTL > config.MAX_TTL) problems.push("DEFAULT_TTL is above MAX_TTL");
  if (config.API_TOKENS_FILE === "" && !isLoopback(config.PLATFORM_HOST)) {
    problems.push(
      `PLATFORM_HOST is ${config.PLATFORM_HOST}: without tokens the API listens on loopback only, since every caller of it controls Docker. Make a token (make token NAME=you ROLE=admin) and set API_TOKENS_FILE, or set PLATFORM_HOST=127.0.0.1`,
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

/** The host bits of a subnet are 0. */
function isSubnet(value: string): boolean {
  const range = readRange(value);
  return range !== null && formatSubnet(range) === value;
}
