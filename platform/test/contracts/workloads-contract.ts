import { beforeEach, describe, expect, test } from "vitest";
import type { ServiceRef, WorkloadEvent } from "../../workloads/workloads.ts";
import { waitUntil } from "../support/wait-until.ts";
import { createWorkloadsHarness, type TestedWorkloads, type WorkloadsSubject } from "./workloads-harness.ts";

export type { WorkloadsSubject };

/** The promises of workloads.ts, for any adapter. */
export function describeWorkloadsContract(name: string, subject: WorkloadsSubject): void {
  describe(`${name} as workloads`, () => {
    let workloads: TestedWorkloads;
    const harness = createWorkloadsHarness(subject, () => workloads);
    const { newEnv, wish, containerOf, specOf, placed, running, serviceOf, follow } = harness;
    const stateOf = async (ref: ServiceRef) => (await serviceOf(ref))?.state;

    beforeEach(() => {
      workloads = subject.createAdapter();
    });

    test("info tells the engine's kind and version", async () => {
      expect(await workloads.info()).toEqual({ kind: expect.any(String), version: expect.any(String) });
    });

    describe("reserve", () => {
      test("gives names, counts against the capacity, and says the same again", () => {
        const { environments: before } = workloads.capacity();
        const wanted = wish({ services: ["app", "db"] });
        const names = workloads.reserve(wanted);
        expect(names.network).not.toBe("");
        expect(new Set(Object.values(names.containers)).size).toBe(2);
        expect(workloads.reserve(wanted)).toEqual(names);
        expect(workloads.capacity().environments).toBe(before - 1);
      });

      test("throws address_pool_exhausted when the range is used up, until a remove gives a part back", async () => {
        const envs: string[] = [];
        while (workloads.capacity().environments > 0) {
          envs.push(newEnv());
          workloads.reserve(wish({ env: envs.at(-1) ?? "" }));
        }
        const next = wish();
        expect(() => workloads.reserve(next)).toThrow(expect.objectContaining({ code: "address_pool_exhausted" }));
        await workloads.remove(envs[0] ?? "", { requestsInFlight: false });
        workloads.reserve(next);
      });

      test("takes a network that is ready for an environment that wants one and has a way out, and for no other", async () => {
        workloads = subject.createAdapter({ poolSize: 1 });
        workloads.networkPool.refill();
        await workloads.networkPool.whenIdle();
        const readyAfter = (more: { egress?: boolean; fromPool?: boolean }) => {
          workloads.reserve(wish(more));
          return workloads.networkPool.stats().ready;
        };
        expect(readyAfter({ egress: false })).toBe(1);
        expect(readyAfter({ fromPool: false })).toBe(1);
        expect(readyAfter({})).toBe(0);
        await workloads.networkPool.whenIdle();
      });
    });

    describe("a service", () => {
      test("that is placed beside its environment's preparation runs after its start, and its address answers", async () => {
        const { placement } = await running();
        expect(placement).toMatchObject({ port: subject.port, address: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/) });
        await waitUntil("its answer", () => subject.answers(placement), 30_000);
      });

      test("that is placed again is one service, and one that is started again goes on", async () => {
        const spec = specOf();
        await placed(spec);
        const { run } = await placed(spec);
        await workloads.start(spec);
        await workloads.prepare(spec);
        await workloads.start(spec);
        expect(await serviceOf(spec)).toMatchObject({ state: "running", placement: { run } });
        expect((await workloads.observe()).get(spec.env)?.objects).toHaveLength(2);
      });

      test("of an image that is not there cannot be placed: image_not_found", async () => {
        const placing = workloads.place(specOf(newEnv(), { image: subject.missingImage }));
        await expect(placing).rejects.toMatchObject({ code: "image_not_found" });
      });

      test("that is absent cannot be started: conflict", async () => {
        const ref = { env: newEnv(), service: "app" };
        await expect(workloads.start(ref)).rejects.toMatchObject({ code: "conflict" });
        await workloads.prepare({ env: ref.env, egress: true });
        await expect(workloads.start(ref)).rejects.toMatchObject({ code: "conflict" });
      });
    });

    describe("observe", () => {
      test("sorts by environment: one that runs, one that is placed, and one that is prepared", async () => {
        const { ref, placement } = await running();
        const second = specOf();
        const waiting = await placed(second);
        const third = newEnv();
        await workloads.prepare({ env: third, egress: false });
        const found = await workloads.observe();
        expect([...found.keys()].toSorted()).toEqual([ref.env, second.env, third].toSorted());
        expect(found.get(ref.env)).toEqual({
          prepared: true,
          services: { app: { state: "running", connected: true, placement: { ...placement, port: null } } },
          objects: [`container ${containerOf(ref)}`, expect.stringMatching(/^network /)],
        });
        expect(found.get(second.env)).toMatchObject({
          prepared: false,
          services: { app: { state: "created", connected: true, placement: { address: waiting.address } } },
        });
        expect(found.get(third)).toEqual({
          prepared: false,
          services: {},
          objects: [expect.stringMatching(/^network /)],
        });
      });

      test("by an adapter that has just started finds everything, and what it finds can be used", async () => {
        const { ref, placement } = await running();
        await workloads.inject(ref, "disconnect");
        const restarted = subject.createAdapter();
        const found = { state: "running", connected: false, placement: { ...placement, port: null } };
        expect(await serviceOf(ref, restarted)).toEqual(found);
        expect(restarted.capacity()).toEqual(workloads.capacity());
        await restarted.revert(ref, "disconnect");
        expect(await serviceOf(ref, restarted)).toEqual({ ...found, connected: true });
        await restarted.remove(ref.env, { requestsInFlight: false });
        expect(await restarted.observe()).toEqual(new Map());
      });
    });

    describe("inspect", () => {
      test("tells the state of a service's run and how the last one ended, and null where there is none", async () => {
        const { ref } = await running();
        const container = containerOf(ref);
        expect(await workloads.inspect(ref)).toEqual({ state: "running", container, exitCode: null, oomKilled: false });
        await subject.exit(container, 3);
        await waitUntil("its end", async () => (await workloads.inspect(ref))?.state === "exited");
        expect(await workloads.inspect(ref)).toEqual({ state: "exited", container, exitCode: 3, oomKilled: false });
        await subject.removeBehindOurBack(container);
        expect(await workloads.inspect(ref)).toBeNull();
      });

      test("throws protected_target when another owner has the name, and so does what would change it; remove leaves it", async () => {
        const ref = { env: newEnv(), service: "app" };
        await subject.addForeign(containerOf(ref));
        await expect(workloads.inspect(ref)).rejects.toMatchObject({ code: "protected_target" });
        await expect(workloads.inject(ref, "kill")).rejects.toMatchObject({ code: "protected_target" });
        await expect(workloads.place(specOf(ref.env))).rejects.toMatchObject({ code: "protected_target" });
        await workloads.remove(ref.env, { requestsInFlight: true });
        await expect(workloads.inspect(ref)).rejects.toMatchObject({ code: "protected_target" });
      });
    });

    describe("a fault", () => {
      test("that kills shows as an exit with 137 until the service is started again", async () => {
        const { ref } = await running();
        for (const _ of [1, 2]) await workloads.inject(ref, "kill");
        expect(await workloads.inspect(ref)).toMatchObject({ state: "exited", exitCode: 137 });
        await waitUntil("the end to be observed", async () => (await stateOf(ref)) === "exited");
        await workloads.start(ref);
        expect(await workloads.inspect(ref)).toMatchObject({ state: "running", exitCode: null });
      });

      test("that pauses shows until it is reverted, twice is fine, and one that does not run cannot be paused", async () => {
        const { ref } = await running();
        for (const _ of [1, 2]) await workloads.inject(ref, "pause");
        expect([await stateOf(ref), (await workloads.inspect(ref))?.state]).toEqual(["paused", "paused"]);
        for (const _ of [1, 2]) await workloads.revert(ref, "pause");
        await waitUntil("it to run", async () => (await stateOf(ref)) === "running");
        await workloads.inject(ref, "kill");
        await expect(workloads.inject(ref, "pause")).rejects.toMatchObject({ code: "conflict" });
        await workloads.revert(ref, "pause");
      });

      test("that disconnects shows until it is reverted, when the service answers at its address again", async () => {
        const { ref, placement } = await running();
        for (const _ of [1, 2]) await workloads.inject(ref, "disconnect");
        expect(await serviceOf(ref)).toMatchObject({ state: "running", connected: false });
        expect(await workloads.inspect(ref)).toMatchObject({ state: "running" });
        for (const _ of [1, 2]) await workloads.revert(ref, "disconnect");
        expect(await serviceOf(ref)).toMatchObject({ state: "running", connected: true });
        await waitUntil("its answer", () => subject.answers(placement), 30_000);
      });
    });

    describe("remove", () => {
      test.each([true, false])(
        "leaves nothing and frees the reservation, with requests in flight: %s",
        async (inFlight) => {
          const { environments: before } = workloads.capacity();
          const { ref, placement } = await running();
          await workloads.remove(ref.env, { requestsInFlight: inFlight });
          expect(await workloads.observe()).toEqual(new Map());
          expect(await workloads.inspect(ref)).toBeNull();
          expect(await subject.answers(placement)).toBe(false);
          expect(workloads.capacity().environments).toBe(before);
          await workloads.remove(ref.env, { requestsInFlight: inFlight });
        },
      );

      test("takes what there is of an environment: a network alone, a container alone, or nothing", async () => {
        const [first, second] = [newEnv(), newEnv()];
        await workloads.prepare({ env: first, egress: true });
        await workloads.place(specOf(second));
        for (const env of [first, second, newEnv()]) await workloads.remove(env, { requestsInFlight: true });
        expect(await workloads.observe()).toEqual(new Map());
      });
    });

    test("tidy removes what a killed platform left, and keeps environments and the networks of its own pool", async () => {
      workloads = subject.createAdapter({ poolSize: 1 });
      const { ref } = await running();
      await workloads.networkPool.whenIdle();
      expect(workloads.networkPool.stats().ready).toBe(1);
      const helper = await subject.leaveHelper();
      const restarted = subject.createAdapter({ poolSize: 1 });
      expect((await restarted.tidy()).toSorted()).toEqual([helper, expect.stringMatching(/^network /)]);
      await restarted.networkPool.whenIdle();
      expect(await restarted.tidy()).toEqual([]);
      expect(restarted.networkPool.stats()).toMatchObject({ ready: 1, lastError: null });
      expect(await serviceOf(ref, restarted)).toMatchObject({ state: "running", connected: true });
    });

    test("events tell of an end from the call on, and end without an error when the signal aborts", async () => {
      const { ref } = await running();
      const stop = new AbortController();
      const seen: WorkloadEvent[] = [];
      const events = workloads.events(stop.signal);
      const listening = (async () => {
        for await (const event of events) seen.push(event);
      })();
      await workloads.inject(ref, "kill");
      await waitUntil("the end", () => seen.some(({ action }) => action === "die"));
      expect(seen.find(({ action }) => action === "die")).toMatchObject({ env: ref.env, time: expect.any(Number) });
      stop.abort();
      await listening;
    });

    describe("inside a service", () => {
      test("a command is waited for and tells its exit code and what it printed on both streams", async () => {
        const { ref } = await running();
        const limits = { timeoutMs: 10_000 };
        const printed = await workloads.exec(ref, subject.commands.print("to out", "to err"), limits);
        expect(printed).toMatchObject({ exitCode: 0, output: expect.stringContaining("to out") });
        expect(printed.output).toContain("to err");
        expect(await workloads.exec(ref, subject.commands.fail(3), limits)).toEqual({ exitCode: 3, output: "" });
        await workloads.inject(ref, "kill");
        await expect(workloads.exec(ref, subject.commands.fail(0), limits)).rejects.toMatchObject({ code: "conflict" });
        await expect(workloads.execDetached(ref, ["true"])).rejects.toMatchObject({ code: "conflict" });
      });

      test("a folder of an image is put into its place", async () => {
        const { ref } = await running();
        const { reference, folder } = subject.tools;
        await workloads.copyFromImage(ref, reference, folder);
        expect(await subject.hasFile(containerOf(ref), folder)).toBe(true);
      });

      test("logs are followed as they come until the run ends, and from the next run on by a new call", async () => {
        const { ref } = await running();
        const container = containerOf(ref);
        const first: string[] = [];
        await subject.print(container, "stdout", "before\n");
        const following = follow(ref, first);
        await waitUntil("the line that was there", () => first.length === 1);
        await subject.print(container, "stdout", "after\n");
        await waitUntil("the line that came", () => first.length === 2);
        await subject.exit(container, 0);
        await following;
        expect(first).toEqual(["before", "after"]);

        await workloads.start(ref);
        const second: string[] = [];
        const followingOn = follow(ref, second);
        await subject.print(container, "stdout", "second run\n");
        await waitUntil("the next run's line", () => second.length === 3);
        expect(second).toEqual(["before", "after", "second run"]);
        await workloads.remove(ref.env, { requestsInFlight: false });
        await followingOn;
        await expect(follow(ref, [])).rejects.toMatchObject({ code: "conflict" });
      });
    });
  });
}
