import { primaryService, type EnvironmentRecord, type Service } from "../environment/record.ts";
import { isOutageOver } from "../environment/lifetime.ts";
import type { Plan, Stage, Step } from "./step.ts";

/** What an environment's parts look like now. */
export type Observed = {
  network: boolean;
  /** Whether Nginx is attached to the network. */
  ingressConnected: boolean;
  /** Whether Nginx has its route as it shall be, and whether that lets requests through. */
  routed: boolean;
  open: boolean;
  /** By container name; absent containers have no entry. */
  containers: Record<string, { state: "created" | "running" | "paused" | "exited"; connected: boolean }>;
  /** Services whose output is being shipped. */
  shipping: string[];
};

/** An environment of which nothing exists yet. */
export const NOTHING: Observed = {
  network: false,
  ingressConnected: false,
  routed: false,
  open: false,
  containers: {},
  shipping: [],
};

/**
 * The steps from what is to what the record wants; none when they agree. An environment that is
 * half-created or half-destroyed is taken down; a living one is completed, except for what an
 * outage in force has broken on purpose. `now` in milliseconds since the epoch.
 */
export function plan(desired: EnvironmentRecord, observed: Observed, now: number): Plan {
  if (desired.status === "creating" || desired.status === "destroying") return planDown(desired);
  return planUp(desired, observed, now);
}

/**
 * Brings an environment up, in the order of product.md part 1: network, Nginx on it, container, and only then
 * is the route opened. Nginx loads it, closed, beside all that: a reload takes about as long as a start.
 */
export function planUp(desired: EnvironmentRecord, observed: Observed, now: number): Plan {
  const env = desired.id;
  const services = desired.services.map((service) => planService(desired, service, observed, now));
  return compact([
    ...planParts(desired, observed, services),
    [...when(!observed.open, { kind: "enable-route", env }), ...services.flatMap((steps) => steps.ship)],
  ]);
}

/** Makes an environment that waits for somebody to want it: everything is there, but its route is closed and nothing is logged yet. */
export function planSpare(desired: EnvironmentRecord, observed: Observed, now: number): Plan {
  const services = desired.services.map((service) => planService(desired, service, observed, now));
  return planParts(desired, observed, services);
}

/** Everything but the opening, at once where it can be. */
function planParts(desired: EnvironmentRecord, observed: Observed, services: ServiceSteps[]): Plan {
  const env = desired.id;
  const { network } = desired;
  const primary = primaryService(desired);
  // A container keeps the id of the network it was started on: without that network it cannot be started again.
  const stale = observed.network
    ? []
    : desired.services.filter((service) => observed.containers[service.container] !== undefined);
  const objects = compact([
    stale.map((service) => ({ kind: "remove-container", env, container: service.container })),
    [
      ...when(!observed.network, { kind: "create-network", env, network, egress: desired.egress }),
      ...services.flatMap((steps) => steps.create),
    ],
    services.flatMap((steps) => steps.connect),
    [
      ...when(!observed.network || !observed.ingressConnected, { kind: "connect-ingress", env, network }),
      ...services.flatMap((steps) => steps.run),
    ],
  ]);
  return beside(
    when(!observed.routed, { kind: "upsert-route", env, address: primary.address, port: primary.port }),
    objects,
  );
}

/** Whether any request, to whomever, is under way at the front door. */
export type TrafficState = "idle" | "busy";

/**
 * Takes everything of an environment down, in reverse: log shipper first, state file last. The route is closed
 * before anything is waited for, and unloaded beside the removal of what it led to. Each step accepts that its
 * object is gone. What never ran leaves no archive. `door` is how the front door was once the route was closed.
 */
export function planDown(record: EnvironmentRecord, door: TrafficState = "busy"): Plan {
  const env = record.id;
  const network = record.network.name;
  const kills = record.services.map(({ container }): Step => ({ kind: "kill-container", env, container }));
  const disconnect: Step = { kind: "disconnect-ingress", env, network };
  const removals: Stage = [
    ...record.services.map(({ container }): Step => ({ kind: "remove-container", env, container })),
  ];
  return [
    [{ kind: "stop-shippers", env }],
    ...beside(
      [{ kind: "remove-route", env }],
      [
        // A request under way ends with its container, and would hang if Nginx were cut off from it before.
        ...(door === "busy" ? [kills, [...removals, disconnect]] : [[[kills, removals], disconnect]]),
        [{ kind: "remove-network", env, network }],
      ],
    ),
    [record.status === "creating" ? { kind: "discard-logs", env } : { kind: "archive-logs", env, owner: record.owner }],
    [{ kind: "remove-secrets", env }],
    [{ kind: "remove-record", env }],
  ];
}

type ServiceSteps = { create: Step[]; connect: Step[]; run: Step[]; ship: Step[] };

function planService(desired: EnvironmentRecord, service: Service, observed: Observed, now: number): ServiceSteps {
  const env = desired.id;
  const { container } = service;
  const network = desired.network.name;
  const present = observed.network ? observed.containers[container] : undefined;
  const outage = desired.outage?.service === service.name && !isOutageOver(desired, now) ? desired.outage.mode : null;
  const ship: Step = { kind: "start-shipper", env, service: service.name, container };

  if (present === undefined) {
    // An outage cannot be in force on a container that is gone, save a crash: that one stays down.
    if (outage === "crash") return { create: [], connect: [], run: [], ship: [] };
    return {
      create: [{ kind: "create-container", env, network, service, egress: desired.egress }],
      connect: [],
      run: [{ kind: "start-container", env, container }],
      ship: [ship],
    };
  }
  const down = present.state === "created" || present.state === "exited";
  const starts = down && outage !== "crash";
  return {
    create: [],
    connect: when(!present.connected && outage !== "network", { kind: "connect-container", env, network, service }),
    run: [
      ...when(starts, { kind: "start-container", env, container }),
      ...when(present.state === "paused" && outage !== "pause", { kind: "unpause-container", env, container }),
    ],
    // A shipper ends with its container's run, so a start needs a new one.
    ship: when(starts || (!down && !observed.shipping.includes(service.name)), ship),
  };
}

/**
 * What `recover` and the end of an outage do: clear the outage, then complete whatever is wrong. Stress leaves
 * processes behind that no state shows, in any container whose run goes on. They are stopped last: a paused one must be
 * thawed first, and one that cannot be stopped keeps nothing else from being repaired.
 */
export function planRecovery(record: EnvironmentRecord, observed: Observed, now: number): Plan {
  const outage = record.outage;
  const service = record.services.find((candidate) => candidate.name === outage?.service);
  const state = service === undefined ? undefined : observed.containers[service.container]?.state;
  const repair = planUp({ ...record, outage: null }, observed, now);
  if (outage?.mode !== "stress" || service === undefined || !observed.network) return repair;
  if (state !== "running" && state !== "paused") return repair;
  return [...repair, [{ kind: "stop-stress", env: record.id, container: service.container }]];
}

function when(condition: boolean, step: Step): Step[] {
  return condition ? [step] : [];
}

/** Runs `steps` and, beside them, `plan`. */
function beside(steps: Step[], plan: Plan): Plan {
  if (steps.length === 0) return plan;
  return [plan.length <= 1 ? [...steps, ...plan.flat()] : [...steps, plan]];
}

function compact(plan: Plan): Plan {
  return plan.filter((stage) => stage.length > 0);
}
