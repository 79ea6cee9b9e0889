/** Probes an environment's service through the edge proxy's internal port, so that it gets the answer that users get. */
export interface Probe {
  check(target: ProbeTarget): Promise<ProbeResult>;
}

export type ProbeTarget = {
  /** The environment's host name, sent as `Host`. */
  host: string;
  path: string;
  timeoutMs: number;
  signal?: AbortSignal;
};

export type ProbeResult = {
  /** HTTP status of the answer, or null when there was none. */
  status: number | null;
  latency_ms: number;
  /** 200 to 399, as Kubernetes' HTTP probes judge. */
  ok: boolean;
  error?: string;
  /** Which part failed: only the environment's own failures count against it. Null when ok. */
  fault: "environment" | "ingress" | null;
};
