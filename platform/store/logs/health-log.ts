import { z } from "zod";
import type { HealthCheck } from "../../domain/health-rule.ts";
import { chainBackwards, type OpenFile } from "../files/file-chain.ts";

const HealthCheckSchema = z.object({
  timestamp: z.string(),
  status: z.number().nullable(),
  latency_ms: z.number(),
  ok: z.boolean(),
  error: z.string().optional(),
});

/** The last `count` checks of a health log, oldest first; lines that are none are passed over. */
export async function readLastChecks(files: OpenFile[], count: number): Promise<HealthCheck[]> {
  const found: HealthCheck[] = [];
  if (count <= 0) return found;
  for await (const batch of chainBackwards(files)) {
    for (const line of batch) {
      const check = parseCheck(line);
      if (check === null) continue;
      found.push(check);
      if (found.length >= count) return found.toReversed();
    }
  }
  return found.toReversed();
}

function parseCheck(line: string): HealthCheck | null {
  try {
    const { error, ...check } = HealthCheckSchema.parse(JSON.parse(line));
    return error === undefined ? check : { ...check, error };
  } catch {
    return null;
  }
}
