import { pino, type Logger } from "pino";

export type { Logger };

/** The platform's own log: JSON lines on standard output. Object first, static message second. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: ["req.headers.authorization", "*.secrets", "secrets", "*.token", "token"], censor: "[redacted]" },
  });
}
