import { describe, expect, test } from "vitest";
import { aRecord } from "../../test/support/record.ts";
import type { OutageMode } from "../environment/record.ts";
import { NOTHING, type Observed, type ServiceState } from "./observed.ts";
import { plan, planDown, planRecovery, planUp, planWarm } from "./plan.ts";
import { stepsOf, type Plan, type Step } from "./step.ts";

const NOW = Date.parse("2030-01-01T00:01:00.000Z");
const record = aRecord();
const placement = { node: "local", address: "10.172.0.3", port: null, run: "1" };
const route = { address: "10.172.0.3", port: 3000, enabled: true };

const intact: Observed = {
  prepared: true,
  services: { app: { state: "running", connected: true, placement } },
  route,
  shipping: ["app"],
};

type Kinds = (string | Kinds)[];

/** The kinds of step of a plan, stage by stage; a plan within a stage as such. */
function kinds(plan: Plan): Kinds[] {
  return plan.map((stage) => stage.map((part: Step | Plan) => (Array.isArray(part) ? kinds(part) : part.kind)));
}

function withService(state: ServiceState, connected = true): Observed {
  return { ...intact, services: { app: { state, connected, placement } } };
}

function during(mode: OutageMode, ends_at: string | null = null) {
  return aRecord({ outage: { mode, service: "app", started_at: "2030-01-01T00:00:00.000Z", ends_at } });
}

describe("planUp", () => {
  test("prepares and places at once, then starts while the route loads, and only then enables it", () => {
    expect(kinds(planUp(record, NOTHING, NOW))).toEqual([
      ["prepare-environment", "place-service"],
      ["start-service", "upsert-route"],
      ["enable-route", "start-shipper"],
    ]);
  });

  test("does everything for a warm environment but to enable the route and to ship logs", () => {
    const all = stepsOf(planUp(record, NOTHING, NOW)).map(({ kind }) => kind);
    const warm = new Set(stepsOf(planWarm(record, NOTHING, NOW)).map(({ kind }) => kind));
    expect(all.filter((kind) => !warm.has(kind))).toEqual(["enable-route", "start-shipper"]);
    expect(planWarm(record, { ...intact, route: { ...route, enabled: false }, shipping: [] }, NOW)).toEqual([]);
  });

  test.each([true, false])("gives a network and a service made anew the egress of the record: %s", (egress) => {
    const steps = stepsOf(plan(aRecord({ egress }), { ...intact, prepared: false, services: {} }, NOW));
    const made = steps.filter(({ kind }) => kind === "prepare-environment" || kind === "place-service");
    expect(made).toMatchObject([{ egress }, { egress }]);
  });

  test("has no step when everything is as the record wants it", () => {
    expect(plan(record, intact, NOW)).toEqual([]);
  });

  test.each<[string, Observed, Kinds[]]>([
    ["an exited service is started and shipped again", withService("exited"), [["start-service"], ["start-shipper"]]],
    ["a service that never ran is started", withService("created"), [["start-service"], ["start-shipper"]]],
    ["a paused service is unpaused", withService("paused"), [["unpause-service"]]],
    ["a disconnected service is reconnected", withService("running", false), [["reconnect-service"]]],
    ["a service on a silent node is left alone", withService("unknown", false), []],
    [
      "a service that is gone is placed anew, and its route follows its new address",
      { ...intact, services: {}, shipping: [] },
      [["place-service"], ["start-service", "upsert-route"], ["start-shipper"]],
    ],
    ["the edge proxy is put back on the network", { ...intact, prepared: false }, [["prepare-environment"]]],
    ["a missing route is loaded and enabled", { ...intact, route: null }, [["upsert-route"], ["enable-route"]]],
    [
      "a route to another address is loaded anew",
      { ...intact, route: { ...route, address: "10.172.0.9" } },
      [["upsert-route"]],
    ],
    ["a route to another port is loaded anew", { ...intact, route: { ...route, port: 1 } }, [["upsert-route"]]],
    ["a disabled route is enabled", { ...intact, route: { ...route, enabled: false } }, [["enable-route"]]],
    ["a missing shipper is started", { ...intact, shipping: [] }, [["start-shipper"]]],
    [
      "without its network, everything is made anew",
      { ...intact, prepared: false, services: {} },
      [["prepare-environment", "place-service"], ["start-service", "upsert-route"], ["start-shipper"]],
    ],
  ])("%s", (_what, observed, expected) => {
    expect(kinds(plan(record, observed, NOW))).toEqual(expected);
  });
});

describe("an outage in force is left alone", () => {
  test.each([
    ["crash", withService("exited")],
    ["pause", withService("paused")],
    ["network", withService("running", false)],
    ["stress", intact],
  ] as const)("%s", (mode, observed) => {
    const shipping = mode === "crash" ? [] : ["app"];
    expect(plan(during(mode), { ...observed, shipping }, NOW)).toEqual([]);
  });

  test("what it did not break is still repaired", () => {
    expect(kinds(plan(during("pause"), withService("exited"), NOW))).toEqual([["start-service"], ["start-shipper"]]);
  });

  test("one whose end has passed is repaired", () => {
    expect(kinds(plan(during("pause", "2030-01-01T00:00:30.000Z"), withService("paused"), NOW))).toEqual([
      ["unpause-service"],
    ]);
  });
});

describe("recovering", () => {
  test.each([
    ["crash", withService("exited"), [["start-service"], ["start-shipper"]]],
    ["pause", withService("paused"), [["unpause-service"]]],
    ["network", withService("running", false), [["reconnect-service"]]],
    ["stress", intact, [["stop-stress"]]],
    ["stress", withService("running", false), [["reconnect-service"], ["stop-stress"]]],
    ["stress", withService("paused"), [["unpause-service"], ["stop-stress"]]],
    ["stress", withService("exited"), [["start-service"], ["start-shipper"]]],
  ] as const)("undoes %s", (mode, observed, expected) => {
    expect(kinds(planRecovery(during(mode), observed, NOW))).toEqual(expected);
  });

  test("has no stress to stop in a container that does not run", () => {
    expect(kinds(planRecovery(during("stress"), withService("exited"), NOW))).toEqual([
      ["start-service"],
      ["start-shipper"],
    ]);
  });

  test("does nothing when nothing is wrong", () => {
    expect(planRecovery(record, intact, NOW)).toEqual([]);
  });
});

describe("taking down", () => {
  test("goes in reverse, log shipper first and state file last", () => {
    expect(kinds(planDown(aRecord({ status: "destroying" })))).toEqual([
      ["stop-shippers"],
      ["remove-route", "remove-workloads"],
      ["archive-logs"],
      ["remove-secrets"],
      ["remove-record"],
    ]);
  });

  test.each([
    ["idle", false],
    ["busy", true],
  ] as const)("tells whether requests are in flight with an edge proxy that is %s", (traffic, requestsInFlight) => {
    const removal = stepsOf(planDown(aRecord({ status: "destroying" }), traffic));
    expect(removal).toContainEqual({ kind: "remove-workloads", env: record.id, requestsInFlight });
  });

  test.each(["creating", "destroying"] as const)(
    "an environment left %s by a killed platform is taken down, whatever is there",
    (status) => {
      const left = aRecord({ status });
      expect(plan(left, intact, NOW)).toEqual(planDown(left));
    },
  );

  test("what never ran leaves no archive", () => {
    const steps = stepsOf(planDown(aRecord({ status: "creating" })));
    expect(steps.map(({ kind }) => kind)).toContain("discard-logs");
  });
});
