import type { NetworkRecord, Service } from "../environment/record.ts";

/**
 * One idempotent side effect on one environment, as data. usecases/environments/apply-steps.ts holds the one
 * executor for each kind; a kind without one does not compile.
 */
export type Step =
  | { kind: "create-network"; env: string; network: NetworkRecord; egress: boolean }
  | { kind: "connect-ingress"; env: string; network: NetworkRecord }
  | { kind: "create-container"; env: string; network: string; service: Service; egress: boolean }
  | { kind: "connect-container"; env: string; network: string; service: Service }
  | { kind: "start-container"; env: string; container: string }
  | { kind: "unpause-container"; env: string; container: string }
  | { kind: "stop-stress"; env: string; container: string }
  | { kind: "upsert-route"; env: string; address: string; port: number }
  | { kind: "enable-route"; env: string }
  | { kind: "start-shipper"; env: string; service: string; container: string }
  | { kind: "stop-shippers"; env: string }
  | { kind: "kill-container"; env: string; container: string }
  | { kind: "remove-container"; env: string; container: string }
  | { kind: "disconnect-ingress"; env: string; network: string }
  | { kind: "remove-network"; env: string; network: string }
  | { kind: "remove-route"; env: string }
  | { kind: "archive-logs"; env: string; owner: string | null }
  | { kind: "discard-logs"; env: string }
  | { kind: "remove-secrets"; env: string }
  | { kind: "remove-record"; env: string };

export type StepKind = Step["kind"];

/**
 * Stages run one after the other; what is in one stage does not depend on each other and runs at once. A
 * plan within a stage runs its own stages beside the rest of it.
 */
export type Plan = Stage[];
export type Stage = (Step | Plan)[];

/** Every step of a plan, in no particular order. */
export function stepsOf(plan: Plan): Step[] {
  return plan.flat().flatMap((part) => (Array.isArray(part) ? stepsOf(part) : [part]));
}

/** A short line for logs and events, such as `start-container sandbox-env-x-app`. */
export function describeStep(step: Step): string {
  if ("container" in step) return `${step.kind} ${step.container}`;
  if ("service" in step) return `${step.kind} ${step.service.container}`;
  if ("network" in step) return `${step.kind} ${typeof step.network === "string" ? step.network : step.network.name}`;
  return `${step.kind} ${step.env}`;
}
