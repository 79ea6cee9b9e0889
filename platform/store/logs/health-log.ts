import { z } from "zod";
import type { HealthCheck } from "../../domain/health-rule.ts";
import { readLastEntries, type OpenFile } from "../files/file-chain.ts";
import { parseAs } from "../files/parse-as.ts";

const HealthCheckSchema = z.object({
  timestamp: z.string(),
  status: z.number().nullable(),
  latency_ms: z.number(),
  ok: z.boolean(),
  error: z.string().exactOptional(),
});

/** The last `count` checks of a health log, oldest first; lines that are none are left out. */
export function readLastChecks(files: OpenFile[], count: number): Promise<HealthCheck[]> {
  return readLastEntries(files, count, (line) => parseAs(HealthCheckSchema, line));
}
