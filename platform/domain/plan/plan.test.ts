import { describe, expect, test } from "vitest";
import { aRecord } from "../../test/support/record.ts";
import type { OutageMode } from "../environment/record.ts";
import { NOTHING, plan, planDown, planRecovery, planSpare, planUp, type Observed } from "./plan.ts";
import { stepsOf, type Plan, type Step } from "./step.ts";

const NOW = Date.parse("2030-01-01T00:01:00.000Z");
const record = aRecord();
const container = `sandbox-${record.id}-app`;

const whole: Observed = {
  network: true,
  ingressConnected: true,
  routed: true,
  open: true,
  containers: { [container]: { state: "running", connected: true } },
  shipping: ["app"],
};

type Kinds = (string | Kinds)[];

/** The kinds of step of a plan, stage by stage; a plan within a stage as such. */
function kinds(plan: Plan): Kinds[] {
  return plan.map((stage) => stage.map((part: Step | Plan) => (Array.isArray(part) ? kinds(part) : part.kind)));
}

function withContainer(state: "created" | "running" | "paused" | "exited", connected = true): Observed {
  return { ...whole, containers: { [container]: { state, connected } } };
}

function during(mode: OutageMode, ends_at: string | null = null) {
  return aRecord({ outage: { mode, service: "app", started_at: "2030-01-01T00:00:00.000Z", ends_at } });
}

describe("bringing up", () => {
  test("creates network and container, connects Nginx and starts, has the route loaded meanwhile, and only then opens it", () => {
    expect(kinds(planUp(record, NOTHING, NOW))).toEqual([
      [
        "upsert-route",
        [
          ["create-network", "create-container"],
          ["connect-ingress", "start-container"],
        ],
      ],
      ["enable-route", "start-shipper"],
    ]);
  });

  test("on a network that was made ahead, only the container is made", () => {
    expect(kinds(planUp(record, { ...NOTHING, network: true, ingressConnected: true }, NOW))).toEqual([
      ["upsert-route", [["create-container"], ["start-container"]]],
      ["enable-route", "start-shipper"],
    ]);
  });

  test("one that is made ahead is everything but open and logged", () => {
    const all = stepsOf(planUp(record, NOTHING, NOW)).map(({ kind }) => kind);
    const spare = new Set(stepsOf(planSpare(record, NOTHING, NOW)).map(({ kind }) => kind));
    expect(all.filter((kind) => !spare.has(kind))).toEqual(["enable-route", "start-shipper"]);
    expect(planSpare(record, { ...whole, open: false, shipping: [] }, NOW)).toEqual([]);
  });

  test.each([true, false])("a network and a container made anew have egress: %s, as the record says", (egress) => {
    const steps = stepsOf(plan(aRecord({ egress }), { ...whole, network: false }, NOW));
    const made = steps.filter(({ kind }) => kind === "create-network" || kind === "create-container");
    expect(made).toMatchObject([{ egress }, { egress }]);
  });

  test("does nothing when everything is as wanted", () => {
    expect(plan(record, whole, NOW)).toEqual([]);
  });

  test.each([
    [
      "a container that exited is started and shipped again",
      withContainer("exited"),
      [["start-container"], ["start-shipper"]],
    ],
    [
      "a container that was never started is started",
      withContainer("created"),
      [["start-container"], ["start-shipper"]],
    ],
    ["a paused container is unpaused", withContainer("paused"), [["unpause-container"]]],
    ["a disconnected container is connected", withContainer("running", false), [["connect-container"]]],
    [
      "a container that is gone is made anew",
      { ...whole, containers: {}, shipping: [] },
      [["create-container"], ["start-container"], ["start-shipper"]],
    ],
    ["Nginx is put back on the network", { ...whole, ingressConnected: false }, [["connect-ingress"]]],
    ["a route that is missing is put", { ...whole, routed: false }, [["upsert-route"]]],
    ["a route that is closed is opened", { ...whole, open: false }, [["enable-route"]]],
    ["a shipper that is missing is started", { ...whole, shipping: [] }, [["start-shipper"]]],
    [
      "without its network, the container is made anew on a new one",
      { ...whole, network: false },
      [
        ["remove-container"],
        ["create-network", "create-container"],
        ["connect-ingress", "start-container"],
        ["start-shipper"],
      ],
    ],
  ])("%s", (_what, observed, expected) => {
    expect(kinds(plan(record, observed, NOW))).toEqual(expected);
  });
});

describe("an outage in force is left alone", () => {
  test.each([
    ["crash", withContainer("exited")],
    ["pause", withContainer("paused")],
    ["network", withContainer("running", false)],
    ["stress", whole],
  ] as const)("%s", (mode, observed) => {
    const shipping = mode === "crash" ? [] : ["app"];
    expect(plan(during(mode), { ...observed, shipping }, NOW)).toEqual([]);
  });

  test("what it did not break is still repaired", () => {
    expect(kinds(plan(during("pause"), withContainer("exited"), NOW))).toEqual([
      ["start-container"],
      ["start-shipper"],
    ]);
  });

  test("one whose end has passed is repaired", () => {
    expect(kinds(plan(during("pause", "2030-01-01T00:00:30.000Z"), withContainer("paused"), NOW))).toEqual([
      ["unpause-container"],
    ]);
  });
});

describe("recovering", () => {
  test.each([
    ["crash", withContainer("exited"), [["start-container"], ["start-shipper"]]],
    ["pause", withContainer("paused"), [["unpause-container"]]],
    ["network", withContainer("running", false), [["connect-container"]]],
    ["stress", whole, [["stop-stress"]]],
    ["stress", withContainer("running", false), [["connect-container"], ["stop-stress"]]],
    ["stress", withContainer("paused"), [["unpause-container"], ["stop-stress"]]],
    ["stress", withContainer("exited"), [["start-container"], ["start-shipper"]]],
  ] as const)("undoes %s", (mode, observed, expected) => {
    expect(kinds(planRecovery(during(mode), observed, NOW))).toEqual(expected);
  });

  test("has no stress to stop in a container that does not run", () => {
    expect(kinds(planRecovery(during("stress"), withContainer("exited"), NOW))).toEqual([
      ["start-container"],
      ["start-shipper"],
    ]);
  });

  test("does nothing when nothing is wrong", () => {
    expect(planRecovery(record, whole, NOW)).toEqual([]);
  });
});

describe("taking down", () => {
  test("goes in reverse, log shipper first and state file last", () => {
    expect(kinds(planDown(aRecord({ status: "destroying" })))).toEqual([
      ["stop-shippers"],
      ["remove-route", [["kill-container"], ["remove-container", "disconnect-ingress"], ["remove-network"]]],
      ["archive-logs"],
      ["remove-secrets"],
      ["remove-record"],
    ]);
  });

  test("Nginx leaves beside the end of the containers where no request is under way", () => {
    expect(kinds(planDown(aRecord({ status: "destroying" }), "idle"))[1]).toEqual([
      "remove-route",
      [[[["kill-container"], ["remove-container"]], "disconnect-ingress"], ["remove-network"]],
    ]);
  });

  test.each(["creating", "destroying"] as const)(
    "an environment left %s by a killed platform is taken down, whatever is there",
    (status) => {
      const left = aRecord({ status });
      expect(plan(left, whole, NOW)).toEqual(planDown(left));
    },
  );

  test("what never ran leaves no archive", () => {
    const steps = stepsOf(planDown(aRecord({ status: "creating" })));
    expect(steps.map(({ kind }) => kind)).toContain("discard-logs");
  });
});
