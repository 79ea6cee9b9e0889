import { RECORD_VERSION, type EnvironmentRecord } from "../../domain/environment/record.ts";

/** A valid record of a running environment; tests change what they are about. */
export function aRecord(changes: Partial<EnvironmentRecord> = {}): EnvironmentRecord {
  const id = changes.id ?? "env-hello-mf3k2x9a";
  return {
    version: RECORD_VERSION,
    id,
    name: "hello",
    owner: null,
    status: "running",
    created_at: "2030-01-01T00:00:00.000Z",
    ttl: 1800,
    expires_at: "2030-01-01T00:30:00.000Z",
    network: `sandbox-${id}`,
    egress: true,
    services: [
      {
        name: "app",
        container: `sandbox-${id}-app`,
        image: "demo:latest",
        port: 3000,
        health_path: "/health",
        command: null,
        env: {},
        resources: { memory_mb: 256, cpus: 1, pids: 256 },
      },
    ],
    secrets: [],
    outage: null,
    idempotency: null,
    ...changes,
  };
}
