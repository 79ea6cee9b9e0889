import { request as httpRequest } from "node:http";
import type { EnvironmentView } from "../../domain/environment/view.ts";
import type { TestInstance } from "./test-instance.ts";

/** An answer in any of the shapes that the clients of the tests return. */
export type AnyAnswer = { status: number; body?: unknown; text?: string };

const SHOWN = 1_000;

/** An answer's status and body, for the message of a failed assertion: the body of a refusal says why. */
export function describeAnswer({ status, body, text }: AnyAnswer): string {
  return `answered ${status} ${JSON.stringify(body ?? text)}`.slice(0, SHOWN);
}

export type Answer<T = never> = { status: number; headers: Headers; body: T & Record<string, unknown> };

/** Calls an instance's API the way a user would, with a token where the platform wants one. */
export function apiClient(instance: Pick<TestInstance, "apiUrl">, token?: string) {
  const credentials: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  async function call<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const response = await fetch(instance.apiUrl + path, {
      method,
      headers: { ...credentials, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as T & Record<string, unknown>,
    };
  }
  return {
    call,
    create: (body: unknown = {}, headers: Record<string, string> = {}) =>
      call<EnvironmentView>("POST", "/envs", body, headers),
    show: (id: string) => call<EnvironmentView>("GET", `/envs/${id}`),
    list: () => call<EnvironmentView[] & Record<string, never>>("GET", "/envs"),
    destroy: (id: string) => call<{ id: string; status: string; archived_logs: string }>("DELETE", `/envs/${id}`),
    outage: (id: string, mode: string, more: Record<string, unknown> = {}) =>
      call<EnvironmentView>("POST", `/envs/${id}/outage`, { mode, ...more }),
    extend: (id: string, seconds: number) => call<EnvironmentView>("POST", `/envs/${id}/extend`, { seconds }),
    logs: (id: string, query = "") => call<{ env_id: string; lines: string[] }>("GET", `/envs/${id}/logs${query}`),
    health: (id: string) =>
      call<{ status: string; checks: { timestamp: string; status: number | null; latency_ms: number; ok: boolean }[] }>(
        "GET",
        `/envs/${id}/health`,
      ),
  };
}

/** Visits an environment through the front door, naming it in `Host` as browsers do. Status and text. */
export function visit(
  instance: Pick<TestInstance, "nginxPort">,
  host: string,
  path = "/",
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: "127.0.0.1", port: instance.nginxPort, path, headers: { Host: host }, agent: false, timeout: 10_000 },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
        response.on("error", reject);
      },
    );
    request.on("timeout", () => request.destroy(new Error("no answer in 10 s")));
    request.on("error", reject);
    request.end();
  });
}
