import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { describeError } from "../kernel/errors.ts";
import { errnoOf } from "../kernel/atomic-file.ts";
import type { Probe, ProbeResult, ProbeTarget } from "./probe.ts";

/** Nginx sets this header on its internal port to the status of the environment's answer; its own answers lack it. */
const UPSTREAM_HEADER = "x-sandbox-upstream-status";

/** Bytes read of a body before the connection is dropped: enough for any health page to arrive without a reset. */
const BODY_LIMIT_BYTES = 64 * 1024;

type EdgeProbeOptions = {
  /** Nginx's internal port, such as `http://10.171.0.2:8081`. */
  internalUrl: string;
};

/** How a request ended, before the fault is assigned. */
type Ending =
  | { kind: "answered"; status: number; upstream: boolean }
  | { kind: "failed"; connected: boolean; reason: string }
  | { kind: "aborted" };

/**
 * Probes through Nginx's internal port, on a connection of its own each time: the next reload would cut a kept one,
 * and the environment would get the blame. `check` never rejects.
 *
 * The fault is Nginx's when its answer lacks the upstream header or the connection fails, and the environment's in all
 * other cases, silence and garbage included.
 */
export function createEdgeProbe({ internalUrl }: EdgeProbeOptions): Probe {
  const { hostname, port } = new URL(internalUrl);
  return {
    async check(target) {
      const started = performance.now();
      const ending = await ask(hostname, Number(port || 80), target);
      return judge(ending, Math.round((performance.now() - started) * 10) / 10);
    },
  };
}

function judge(ending: Ending, latency_ms: number): ProbeResult {
  if (ending.kind === "aborted")
    return { status: null, latency_ms, ok: false, error: "probe was cancelled", fault: "ingress" };
  if (ending.kind === "failed") {
    const fault = ending.connected ? "environment" : "ingress";
    return { status: null, latency_ms, ok: false, error: ending.reason, fault };
  }
  const { status, upstream } = ending;
  if (!upstream) return { status, latency_ms, ok: false, error: `Nginx itself answered ${status}`, fault: "ingress" };
  if (status >= 200 && status <= 399) return { status, latency_ms, ok: true, fault: null };
  return { status, latency_ms, ok: false, error: `answered ${status}`, fault: "environment" };
}

/** Sends one GET, and ends with the answer's headers. */
function ask(host: string, port: number, { host: name, path, timeoutMs, signal }: ProbeTarget): Promise<Ending> {
  return new Promise((resolve) => {
    let connected = false;
    const cancel = (): void => end({ kind: "aborted" });
    const expire = (): void => end({ kind: "failed", connected, reason: `no answer within ${timeoutMs} ms` });
    const timer = setTimeout(expire, timeoutMs);
    let outgoing: ClientRequest | undefined;

    function end(ending: Ending): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
      if (ending.kind !== "answered") outgoing?.destroy();
      resolve(ending);
    }

    signal?.addEventListener("abort", cancel);
    if (signal?.aborted) return cancel();
    try {
      const headers = { host: name, "user-agent": "sandbox-probe", accept: "*/*", connection: "close" };
      outgoing = request({ host, port, path, headers, agent: false });
    } catch (error) {
      // Node refuses the path of the environment's record when it has spaces or control characters.
      return end({ kind: "failed", connected: true, reason: describeError(error) });
    }
    outgoing.once("socket", (socket) => socket.once("connect", () => (connected = true)));
    outgoing.once("response", (response) => {
      const upstream = (response.headers[UPSTREAM_HEADER] ?? "") !== "";
      end({ kind: "answered", status: response.statusCode ?? 0, upstream });
      drain(response, timeoutMs);
    });
    // Never removed: a connection that is dropped after its answer can still report an error.
    outgoing.on("error", (error) =>
      end({ kind: "failed", connected: connected && !isReset(error), reason: describeError(error) }),
    );
    outgoing.end();
  });
}

/** Reads a small body and drops a larger or slower one: only the headers count. */
function drain(response: IncomingMessage, limitMs: number): void {
  let received = 0;
  const timer = setTimeout(() => response.destroy(), limitMs);
  response.once("close", () => clearTimeout(timer));
  response.on("error", () => response.destroy());
  response.on("data", (chunk: Buffer) => {
    received += chunk.length;
    if (received > BODY_LIMIT_BYTES) response.destroy();
  });
}

/** Nginx answers 502 when an environment resets its connection, so a reset that arrives here is from Nginx itself. */
function isReset(error: Error): boolean {
  const code = errnoOf(error);
  return code === "ECONNRESET" || code === "EPIPE";
}
