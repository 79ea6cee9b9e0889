import type { Service } from "../environment/record.ts";

/**
 * One idempotent side effect on one environment, as data. usecases/environments/step-executor.ts holds the one
 * executor for each kind; a kind without an executor does not compile.
 */
export type Step =
  | { kind: "prepare-environment"; env: string; egress: boolean }
  | { kind: "place-service"; env: string; service: Service; egress: boolean }
  | { kind: "start-service"; env: string; service: string }
  | { kind: "unpause-service"; env: string; service: string }
  | { kind: "reconnect-service"; env: string; service: string }
  | { kind: "stop-stress"; env: string; service: string }
  /** `service`: the one the route leads to; its address is known once it is placed. */
  | { kind: "upsert-route"; env: string; service: string; port: number }
  | { kind: "enable-route"; env: string }
  | { kind: "start-shipper"; env: string; service: string }
  | { kind: "stop-shippers"; env: string }
  | { kind: "remove-workloads"; env: string; requestsInFlight: boolean }
  | { kind: "remove-route"; env: string }
  | { kind: "archive-logs"; env: string; owner: string | null }
  | { kind: "discard-logs"; env: string }
  | { kind: "remove-secrets"; env: string }
  | { kind: "remove-record"; env: string };

export type StepKind = Step["kind"];

/** Every kind of step. */
export const STEP_KINDS = [
  "prepare-environment",
  "place-service",
  "start-service",
  "unpause-service",
  "reconnect-service",
  "stop-stress",
  "upsert-route",
  "enable-route",
  "start-shipper",
  "stop-shippers",
  "remove-workloads",
  "remove-route",
  "archive-logs",
  "discard-logs",
  "remove-secrets",
  "remove-record",
] as const satisfies readonly StepKind[];

/**
 * Stages run one after the other. The parts of a stage do not depend on each other and run at once. A plan within a
 * stage runs its own stages beside the other parts.
 */
export type Plan = Stage[];
export type Stage = (Step | Plan)[];

/** Every step of a plan, in no particular order. */
export function stepsOf(plan: Plan): Step[] {
  return plan.flat().flatMap((part) => (Array.isArray(part) ? stepsOf(part) : [part]));
}

/** A short line for logs and events, such as `start-service env-hello-mf3k2x9a/app`. */
export function describeStep(step: Step): string {
  if (!("service" in step)) return `${step.kind} ${step.env}`;
  return `${step.kind} ${step.env}/${typeof step.service === "string" ? step.service : step.service.name}`;
}
