import { addressOf, docker } from "../platform/test/support/docker.ts";
import { awaitFirst200 } from "./first-answer.ts";
import { groupOptionsLike } from "./processor-group.ts";
import type { Workbench } from "./workbench.ts";

/** As many workers as nginx/start.sh says. */
const START = `printf %s "$1" > /tmp/plain.conf
exec nginx -c /tmp/plain.conf -g "daemon off; worker_processes $((($(nproc) + 1) / 2));"`;

const CONGESTION = "net.ipv4.tcp_congestion_control";

/** One that hands on and does nothing else: no gate, no header, no log; and keeps its connections as the platform's does. */
const configFor = (upstream: string): string => `
worker_rlimit_nofile 16384;
pid /tmp/plain.pid;
error_log stderr;
events {
    worker_connections 8192;
}
http {
    access_log off;
    keepalive_requests 1000000;
    upstream app {
        server ${upstream};
        keepalive 128;
        keepalive_requests 1000000;
    }
    server {
        listen 80;
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
    }
}
`;

/**
 * Does some work while there is what any Nginx costs on this machine: one of the same image, in the same processor group as
 * the platform's own, that hands on to `upstream` (address:port) in that application's `network`, where it has an `address`.
 * It is gone afterwards, since the network could not go before it.
 */
export async function withPlainNginx<T>(
  { instance, bare, signal }: Pick<Workbench, "instance" | "bare" | "signal">,
  { network, upstream }: { network: string; upstream: string },
  work: (address: string) => Promise<T>,
): Promise<T> {
  const like = `${instance.name}-nginx`;
  const name = `${bare.instance}-plain-nginx`;
  const image = await docker("inspect", "-f", "{{.Config.Image}}", like);
  const options = ["--detach", "--name", name, "--label", `sandbox.platform=${bare.instance}`, "--network", network];
  const congestion = (await docker("exec", like, "cat", `/proc/sys/${CONGESTION.replaceAll(".", "/")}`)).trim();
  const sysctls = ["--sysctl", `${CONGESTION}=${congestion}`];
  const limits = ["--ulimit", "nofile=16384", ...(await groupOptionsLike(like))];
  try {
    await docker("run", ...options, ...sysctls, ...limits, image, "sh", "-c", START, "sh", configFor(upstream));
    const address = await addressOf(name, network);
    await awaitFirst200({ address, port: 80, host: "plain", path: "/health" }, signal);
    return await work(address);
  } finally {
    await docker("rm", "--force", name);
  }
}
