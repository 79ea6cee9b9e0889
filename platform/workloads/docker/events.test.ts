import { describe, expect, onTestFinished, test } from "vitest";
import { json, serve } from "../../test/support/canned-engine.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
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
    expect(translate(container("destroy", { ...LABELS, "sandbox.role": "helper" }), "sandbox", known)).toBeNull();
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

/** The events made of messages that an engine sends; `oomKilled` is what it answers to an inspection. */
async function eventsOf(messages: EngineMessage[], oomKilled = false) {
  const lines = messages.map((message) => `${JSON.stringify(message)}\n`).join("");
  const { engine, asked } = await serve({
    "GET /containers/json": json(200, []),
    "GET /containers/c1/json": json(200, { State: { OOMKilled: oomKilled } }),
    "GET /events": (_request, response) => void response.writeHead(200).write(lines),
  });
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const seen: string[] = [];
  const stream = engine.events(stop.signal);
  void (async () => {
    for await (const { action } of stream) seen.push(action);
  })();
  await waitUntil("the last event", () => seen.includes("destroy"), 5_000, 5);
  return { seen, inspections: asked.filter(({ url }) => url.endsWith("/containers/c1/json")).length };
}

describe("events of an engine", () => {
  let stamp = TIME.timeNano;
  const tell = (action: string, attributes: Record<string, string> = {}) => ({
    ...container(action, { ...LABELS, ...attributes }),
    timeNano: (stamp += 1_000_000),
  });

  test("tell `oom` once a run, however often the engine tells it", async () => {
    const run = ["start", "oom", "oom", "die"].map((action) => tell(action));
    const { seen, inspections } = await eventsOf([...run, tell("start"), tell("oom"), tell("die"), tell("destroy")]);
    expect(seen).toEqual(["start", "oom", "die", "start", "oom", "die", "destroy"]);
    expect(inspections).toBe(0);
  });

  test("tell an `oom` that the engine tells after `die`", async () => {
    const { seen } = await eventsOf(["start", "die", "oom", "destroy"].map((action) => tell(action)));
    expect(seen).toEqual(["start", "die", "oom", "destroy"]);
  });

  test("tell an `oom` that the engine leaves out when its inspection knows of it", async () => {
    const { seen } = await eventsOf(
      ["start", "die", "destroy"].map((action) => tell(action)),
      true,
    );
    expect(seen).toEqual(["start", "die", "oom", "destroy"]);
  });

  test("tell no `oom` of a container that exits, or that a client kills, which costs no inspection", async () => {
    const exits = await eventsOf(["start", "die", "destroy"].map((action) => tell(action)));
    expect(exits).toEqual({ seen: ["start", "die", "destroy"], inspections: 1 });
    const killed = [tell("start"), tell("kill", { signal: "9" }), tell("die"), tell("destroy")];
    expect(await eventsOf(killed, true)).toEqual({ seen: ["start", "kill", "die", "destroy"], inspections: 0 });
  });

  test("tell a message once that the engine sends twice, from its memory and as it happens", async () => {
    const [pause, unpause] = [tell("pause"), tell("unpause")];
    const { seen } = await eventsOf([pause, unpause, pause, unpause, tell("pause"), tell("destroy")]);
    expect(seen).toEqual(["pause", "unpause", "pause", "destroy"]);
  });
});
