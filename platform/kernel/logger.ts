import { destination, pino, type DestinationStream, type Logger } from "pino";

export type { Logger };

/** Fields that may hold an application's secrets or an API token, redacted at the depths at which objects are logged. */
const PRIVATE_FIELDS = ["secrets", "token", "authorization"];
const DEPTHS = ["", "*.", "*.*."];

/** The platform's own log: JSON lines on standard output. Call it with the object first, then a static message. */
export function createLogger(level: string, sink: DestinationStream = destination(1)): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: PRIVATE_FIELDS.flatMap((field) => DEPTHS.map((depth) => `${depth}${field}`)),
        censor: "[redacted]",
      },
    },
    sink,
  );
}
