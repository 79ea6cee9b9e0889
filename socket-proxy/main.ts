/**
 * Stands between the API and the Docker socket (docker-compose.filtered.yml). Listens on a socket of its own, and
 * prints one line for the first use of each call and for each refusal.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { createSocketProxy } from "./proxy.ts";

const enginePath = process.env["DOCKER_SOCKET"] || "/var/run/docker.sock";
const listenPath = process.env["LISTEN_SOCKET"] || "/run/sandbox/docker.sock";
const used = new Set<string>();

const server = createSocketProxy({
  enginePath,
  instance: setting("INSTANCE"),
  subnetPool: setting("SUBNET_POOL"),
  onCall: (call) => {
    if (used.has(call)) return;
    used.add(call);
    console.log(`allowed ${call}`);
  },
  onRefusal: (method, path, reason) => console.log(`refused ${method} ${path}: ${reason}`),
});

mkdirSync(dirname(listenPath), { recursive: true });
// A proxy that was killed leaves its socket behind.
rmSync(listenPath, { force: true });
server.listen(listenPath, () => {
  chmodSync(listenPath, 0o600);
  console.log(`listening on ${listenPath}, for ${enginePath}`);
});
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    rmSync(listenPath, { force: true });
    process.exit(0);
  });
}

/** Throws without a value: the proxy could not tell the platform's objects from others. */
function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}
