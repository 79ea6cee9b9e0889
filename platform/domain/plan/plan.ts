import { primaryService, type EnvironmentRecord, type Service } from "../environment/record.ts";
import { isOutageOver } from "../environment/lifetime.ts";
import type { Observed } from "./observed.ts";
import type { Plan, Step } from "./step.ts";

/**
 * The steps from the observed state to the state that the record wants; none when they agree. An environment that is
 * half-created or half-destroyed is taken down; a living one is completed, except for what an outage in force has
 * broken on purpose. `now` in milliseconds since the epoch.
 */
export function plan(desired: EnvironmentRecord, observed: Observed, now: number): Plan {
  if (desired.status === "creating" || desired.status === "destroying") return planDown(desired);
  return planUp(desired, observed, now);
}

/**
 * Brings an environment up, in the order of product.md part 1: network, container, start, and only then is the route
 * enabled. Nginx loads the disabled route beside the start, which takes about as long.
 */
export function planUp(desired: EnvironmentRecord, observed: Observed, now: number): Plan {
  const env = desired.id;
  const services = desired.services.map((service) => planService(desired, service, observed, now));
  return compact([
    ...planParts(desired, observed, services),
    [
      ...when(observed.route?.enabled !== true, { kind: "enable-route", env }),
      ...services.flatMap((steps) => steps.ship),
    ],
  ]);
}

/** Brings a warm environment up: everything is there, but its route is disabled and its logs are not shipped. */
export function planWarm(desired: EnvironmentRecord, observed: Observed, now: number): Plan {
  const services = desired.services.map((service) => planService(desired, service, observed, now));
  return compact(planParts(desired, observed, services));
}

/** Everything but enabling the route. */
function planParts(desired: EnvironmentRecord, observed: Observed, services: ServiceSteps[]): Plan {
  const env = desired.id;
  const { name: service, port } = primaryService(desired);
  return [
    [
      ...when(!observed.prepared, { kind: "prepare-environment", env, egress: desired.egress }),
      ...services.flatMap((steps) => steps.place),
    ],
    [
      ...services.flatMap((steps) => steps.run),
      ...when(!isRouted(desired, observed), { kind: "upsert-route", env, service, port }),
    ],
  ];
}

/** Whether the edge proxy sends requests to where the primary service is. An absent service is placed first. */
function isRouted(desired: EnvironmentRecord, { route, services }: Observed): boolean {
  const { name, port } = primaryService(desired);
  const found = services[name];
  // A service that an outage keeps away has no new address to route to.
  if (found === undefined) return desired.outage?.mode === "crash" && desired.outage.service === name;
  if (route === null) return false;
  const { placement } = found;
  return placement === null || (placement.address === route.address && (placement.port ?? port) === route.port);
}

/** Whether the edge proxy is answering any request, of any environment. */
export type TrafficState = "idle" | "busy";

/**
 * Takes everything of an environment down, in reverse: log shipper first, state file last. The caller disables the
 * route before. Each step accepts that its object is gone. An environment that never ran leaves no archive.
 */
export function planDown(record: EnvironmentRecord, traffic: TrafficState = "busy"): Plan {
  const env = record.id;
  return [
    [{ kind: "stop-shippers", env }],
    [
      { kind: "remove-route", env },
      { kind: "remove-workloads", env, requestsInFlight: traffic === "busy" },
    ],
    [record.status === "creating" ? { kind: "discard-logs", env } : { kind: "archive-logs", env, owner: record.owner }],
    [{ kind: "remove-secrets", env }],
    [{ kind: "remove-record", env }],
  ];
}

type ServiceSteps = { place: Step[]; run: Step[]; ship: Step[] };

function planService(desired: EnvironmentRecord, service: Service, observed: Observed, now: number): ServiceSteps {
  const env = desired.id;
  const { name } = service;
  const present = observed.services[name];
  const outage = desired.outage?.service === name && !isOutageOver(desired, now) ? desired.outage.mode : null;
  const ship: Step = { kind: "start-shipper", env, service: name };

  if (present === undefined) {
    // Of all outages only a crash can be in force on a service that is gone: that service stays down.
    if (outage === "crash") return { place: [], run: [], ship: [] };
    return {
      place: [{ kind: "place-service", env, service, egress: desired.egress }],
      run: [{ kind: "start-service", env, service: name }],
      ship: [ship],
    };
  }
  if (present.state === "unknown") return { place: [], run: [], ship: [] };
  const down = present.state === "created" || present.state === "exited";
  const starts = down && outage !== "crash";
  return {
    place: when(!present.connected && outage !== "network", { kind: "reconnect-service", env, service: name }),
    run: [
      ...when(starts, { kind: "start-service", env, service: name }),
      ...when(present.state === "paused" && outage !== "pause", { kind: "unpause-service", env, service: name }),
    ],
    // A shipper ends with the run of its container, so a start needs a new one.
    ship: when(starts || (!down && !observed.shipping.includes(name)), ship),
  };
}

/**
 * The steps of `recover` and of an outage's end: the outage is cleared, then whatever is wrong is completed. Stress
 * leaves processes behind that no state shows. They are stopped last: a paused service must be unpaused first, and
 * stress that cannot be stopped keeps nothing else from being repaired.
 */
export function planRecovery(record: EnvironmentRecord, observed: Observed, now: number): Plan {
  const { outage } = record;
  const repair = planUp({ ...record, outage: null }, observed, now);
  if (outage?.mode !== "stress") return repair;
  const state = observed.services[outage.service]?.state;
  if (state !== "running" && state !== "paused") return repair;
  return [...repair, [{ kind: "stop-stress", env: record.id, service: outage.service }]];
}

function when(condition: boolean, step: Step): Step[] {
  return condition ? [step] : [];
}

function compact(plan: Plan): Plan {
  return plan.filter((stage) => stage.length > 0);
}
