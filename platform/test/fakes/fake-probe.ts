import type { Probe, ProbeResult, ProbeTarget } from "../../probes/probe.ts";

/** What a host does when it is probed. */
type FakeBehaviour = { status: number } | "hangs" | "unreachable";

export type FakeProbe = Probe & {
  /** From now on, what probes of this host meet; a host never set has no route. */
  set(host: string, behaviour: FakeBehaviour): void;
  /** Whether the front door itself answers. */
  setDown(down: boolean): void;
  /** Every probe so far, oldest first. */
  readonly calls: ProbeTarget[];
};

/** Probes without a network, judged as the real one judges. A hanging host takes its full time limit, as the real one does. */
export function createFakeProbe(): FakeProbe {
  const hosts = new Map<string, FakeBehaviour>();
  const calls: ProbeTarget[] = [];
  let down = false;

  async function answer({ host, timeoutMs, signal }: ProbeTarget): Promise<Omit<ProbeResult, "latency_ms">> {
    if (signal?.aborted === true) return failure(null, "probe was cancelled", "ingress");
    if (down) return failure(null, "connect ECONNREFUSED", "ingress");
    const behaviour = hosts.get(host);
    if (behaviour === undefined) return failure(404, "Nginx itself answered 404", "ingress");
    if (behaviour === "unreachable") return failure(502, "answered 502", "environment");
    if (behaviour === "hangs") {
      const cancelled = await hang(timeoutMs, signal);
      if (cancelled) return failure(null, "probe was cancelled", "ingress");
      return failure(null, `no answer within ${timeoutMs} ms`, "environment");
    }
    const { status } = behaviour;
    if (status >= 200 && status <= 399) return { status, ok: true, fault: null };
    return failure(status, `answered ${status}`, "environment");
  }

  return {
    calls,
    async check(target) {
      calls.push(target);
      const started = performance.now();
      const result = await answer(target);
      return { ...result, latency_ms: Math.round((performance.now() - started) * 10) / 10 };
    },
    set(host, behaviour) {
      hosts.set(host, behaviour);
    },
    setDown(value) {
      down = value;
    },
  };
}

function failure(
  status: number | null,
  error: string,
  fault: "environment" | "ingress",
): Omit<ProbeResult, "latency_ms"> {
  return { status, ok: false, error, fault };
}

/** Whether it was cut short by `signal`. */
function hang(ms: number, signal: AbortSignal | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve(signal?.aborted === true);
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener("abort", finish);
  });
}
