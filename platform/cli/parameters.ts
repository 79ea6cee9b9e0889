// Parameters as make passes them: environment variables, empty when not given.
import { UsageError } from "./api.ts";

const UNITS: Record<string, number> = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** The parameter's value, or undefined when it is not given or empty. */
export function optional(key: string): string | undefined {
  return process.env[key]?.trim() ? process.env[key] : undefined;
}

/** The parameter's value; throws a UsageError when it is not given. */
export function required(key: string, usage: string): string {
  const value = optional(key);
  if (value === undefined) throw new UsageError(`${key} is missing. Usage: ${usage}`);
  return value;
}

/** A length of time in seconds: 90, 90s, 15m, 2h or 1d. */
export function seconds(text: string, key: string): number {
  const match = /^\s*(\d+)\s*([smhd]?)\s*$/.exec(text);
  const length = Number(match?.[1]) * (UNITS[match?.[2] ?? ""] ?? 1);
  // A number beyond the safe integers would reach the API as another one.
  if (Number.isSafeInteger(length)) return length;
  throw new UsageError(`${key} is a length of time such as 90, 15m or 2h, not "${text}".`);
}

/** A port, or undefined when it is not given. */
export function optionalPort(key: string): number | undefined {
  const value = optional(key);
  if (value === undefined) return undefined;
  const port = /^\s*\d+\s*$/.test(value) ? Number(value) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError(`${key} is a number from 1 to 65535, not "${value}".`);
}

/** Like seconds(), or undefined when the parameter is not given. */
export function optionalSeconds(key: string): number | undefined {
  const value = optional(key);
  return value === undefined ? undefined : seconds(value, key);
}
