import type { EnvironmentRecord } from "../../domain/environment/record.ts";

/** A valid record of a running environment; tests change what they are about. */
export function aRecord(changes: Partial<EnvironmentRecord> = {}): EnvironmentRecord {
  const id = changes.id ?? "env-hello-mf3k2x9a";
  return {
    version: 1,
    id,
    name: "hello",
    owner: null,
    status: "running",
    created_at: "2030-01-01T00:00:00.000Z",
    ttl: 1800,
    expires_at: "2030-01-01T00:30:00.000Z",
    network: { name: `sandbox-${id}`, subnet: "10.172.0.0/28", gateway: "10.172.0.1", ingress_address: "10.172.0.2" },
    egress: true,
    services: [
      {
        name: "app",
        container: `sandbox-${id}-app`,
        image: "demo:latest",
        address: "10.172.0.3",
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
