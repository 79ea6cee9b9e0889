import { describe, expect, test } from "vitest";
import { translate, type EngineMessage, type KnownContainers } from "./events.ts";

const TIME = { timeNano: 1_795_376_183_829_689_344 };
const LABELS = { "sandbox.platform": "sandbox", "sandbox.env": "env-a-1", "sandbox.role": "app" };

function container(action: string, attributes: Record<string, string>, id = "c1"): EngineMessage {
  return {
    Type: "container",
    Action: action,
    Actor: { ID: id, Attributes: { name: "sandbox-env-a-1-app", ...attributes } },
    ...TIME,
  };
}

function network(action: string, containerId: string): EngineMessage {
  return {
    Type: "network",
    Action: action,
    Actor: { ID: "n1", Attributes: { container: containerId, name: "sandbox-env-a-1" } },
    ...TIME,
  };
}

describe("an engine's message", () => {
  test.each(["start", "die", "oom", "pause", "unpause", "kill", "destroy"])(
    "about our container's %s becomes an event",
    (action) => {
      expect(translate(container(action, LABELS), "sandbox", new Map())).toEqual({
        action,
        container: "sandbox-env-a-1-app",
        env: "env-a-1",
        network: null,
        time: 1_795_376_183_829,
      });
    },
  );

  test("about another instance's container, or nobody's, is dropped", () => {
    expect(translate(container("die", { ...LABELS, "sandbox.platform": "other" }), "sandbox", new Map())).toBeNull();
    expect(translate(container("die", {}), "sandbox", new Map())).toBeNull();
  });

  test("about a network names the container that was created before, although it bears only its id", () => {
    const known: KnownContainers = new Map();
    expect(translate(container("create", LABELS), "sandbox", known)).toBeNull();
    expect(translate(network("connect", "c1"), "sandbox", known)).toMatchObject({
      action: "connect",
      container: "sandbox-env-a-1-app",
      env: "env-a-1",
      network: "sandbox-env-a-1",
    });
  });

  test("about a network is dropped when its container is not ours", () => {
    expect(translate(network("connect", "foreign"), "sandbox", new Map())).toBeNull();
    expect(translate(network("create", "foreign"), "sandbox", new Map())).toBeNull();
  });

  test("about a part of the platform itself bears no environment", () => {
    const nginx = { "sandbox.platform": "sandbox", "sandbox.role": "nginx", name: "sandbox-nginx" };
    expect(translate(container("die", nginx), "sandbox", new Map())).toMatchObject({
      container: "sandbox-nginx",
      env: "",
    });
  });

  test("about the adapter's own helpers is dropped", () => {
    const known: KnownContainers = new Map();
    expect(translate(container("destroy", { ...LABELS, "sandbox.role": "tool" }), "sandbox", known)).toBeNull();
    expect(known.size).toBe(0);
  });

  test("of a kind that nobody asked for is dropped", () => {
    expect(translate(container("exec_create: ls", LABELS), "sandbox", new Map())).toBeNull();
    expect(
      translate(
        { Type: "image", Action: "pull", Actor: { ID: "", Attributes: LABELS }, ...TIME },
        "sandbox",
        new Map(),
      ),
    ).toBeNull();
  });

  test("about a container's end lets go of it", () => {
    const known: KnownContainers = new Map();
    translate(container("create", LABELS), "sandbox", known);
    translate(container("destroy", LABELS), "sandbox", known);
    expect(known.size).toBe(0);
  });
});
