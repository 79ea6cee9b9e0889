import { request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describeError } from "../../kernel/errors.ts";
import { errnoOf } from "../../kernel/atomic-file.ts";
import { delay } from "../../kernel/delay.ts";
import { VERSION_HEADER, VERSION_HOST, versionPort, type VersionPorts } from "./config-version.ts";

/** How long one question on the internal port may take. */
const ANSWER_LIMIT_MS = 2_000;
/** How long it may take to tell its counters: a delete waits for them. */
const COUNTERS_LIMIT_MS = 200;
/** For so long Nginx's master lets its old workers be once it has begun new ones (`ngx_msleep(100)` in its ngx_process_cycle.c). */
const OLD_WORKERS_STAY_MS = 100;
/** Between two questions after that. */
const POLL_MS = 3;

/** What the internal port says; `version` is null for a configuration without a config version. */
type NginxAnswer = { answers: true; version: number | null } | { answers: false; reason: string };

/** Connections on which a request's head is coming in, a request is under way, or the next request is waited for. */
export type NginxCounters = { reading: number; answering: number; kept: number };

/** The running Nginx as seen from outside: which config version it serves, and when a reload is complete. */
export type RunningNginx = {
  /** Whether it answers at all, and with which config version. Never throws. */
  ask(): Promise<NginxAnswer>;
  /** What all its workers, old and new, have in hand; null where it does not answer within 0.2 s. Never throws. */
  counters(): Promise<NginxCounters | null>;
  /** `/up` on the internal port, at most 2 s. Never throws. */
  check(): Promise<{ ok: boolean; detail: string }>;
  /**
   * Waits until every new connection, on any port, is answered with `version`: no worker of the `former` versions
   * accepts any more, and a new one answers. False when `timeoutMs` passed; throws the reason of `signal` once that
   * aborts.
   */
  awaitVersion(version: number, former: Iterable<number>, timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
};

/** `internalUrl` is the internal port's, such as `http://10.171.0.2:8081`. */
export function createRunningNginx(internalUrl: string, ports: VersionPorts): RunningNginx {
  const url = new URL(internalUrl);

  async function ask(): Promise<NginxAnswer> {
    try {
      const { headers } = await get(url, "/", VERSION_HOST);
      const text = headers[VERSION_HEADER];
      return { answers: true, version: typeof text === "string" ? Number(text) : null };
    } catch (error) {
      return { answers: false, reason: describeError(error) };
    }
  }

  return {
    ask,

    async counters() {
      const { body } = await get(url, "/up", url.host, COUNTERS_LIMIT_MS).catch(() => ({ body: "" }));
      return readCounters(body);
    },

    async check() {
      try {
        const { status } = await get(url, "/up", url.host);
        const ok = status === 200;
        return { ok, detail: ok ? "Nginx answers" : `Nginx answers ${status} at ${internalUrl}/up` };
      } catch (error) {
        return { ok: false, detail: `Nginx does not answer at ${internalUrl}: ${describeError(error)}` };
      }
    },

    async awaitVersion(version, former, timeoutMs, signal) {
      const deadline = performance.now() + timeoutMs;
      const current = versionPort(version, ports);
      let pause = OLD_WORKERS_STAY_MS;
      for (const old of new Set([...former].map((number) => versionPort(number, ports)))) {
        if (old === current) continue; // so long ago that the ports have gone round: never to refuse again
        while (!(await refuses(url.hostname, old))) {
          if (performance.now() >= deadline) return false;
          await delay(pause, signal);
          signal?.throwIfAborted();
          pause = POLL_MS;
        }
      }
      for (;;) {
        const answer = await ask();
        if (answer.answers && answer.version === version) return true;
        if (performance.now() >= deadline) return false;
        await delay(POLL_MS, signal);
        signal?.throwIfAborted();
      }
    },
  };
}

/** What an answer of stub_status says, less the question itself (https://nginx.org/en/docs/http/ngx_http_stub_status_module.html). */
function readCounters(text: string): NginxCounters | null {
  const [reading, writing, kept] =
    /\bReading: (\d+) Writing: (\d+) Waiting: (\d+)\b/.exec(text)?.slice(1).map(Number) ?? [];
  if (reading === undefined || writing === undefined || kept === undefined) return null;
  return { reading, answering: writing - 1, kept };
}

/** One GET over a connection of its own: a kept one would go on being served by a worker that is on its way out. */
function get(
  url: URL,
  path: string,
  host: string,
  limitMs: number = ANSWER_LIMIT_MS,
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }> {
  return new Promise((resolve, reject) => {
    const options = { host: url.hostname, port: url.port || 80, path, headers: { host }, agent: false } as const;
    const outgoing = request(options, (response) => {
      const { statusCode: status = 0, headers } = response;
      // Of an answer that is cut off in its midst nothing but this tells.
      text(response).then((body) => resolve({ status, headers, body }), reject);
    });
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${limitMs} ms`)), limitMs);
    outgoing.once("close", () => clearTimeout(timer));
    // Stays for good: destroying a request whose answer was had can still report an error.
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** Whether the port refuses connections. Any other outcome, a reset or silence, proves nothing. */
function refuses(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.setTimeout(ANSWER_LIMIT_MS);
    const settle = (refused: boolean): void => {
      resolve(refused);
      socket.destroy();
    };
    socket.once("connect", () => settle(false));
    socket.once("timeout", () => settle(false));
    socket.on("error", (error) => settle(errnoOf(error) === "ECONNREFUSED"));
  });
}
