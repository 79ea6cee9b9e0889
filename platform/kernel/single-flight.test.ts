import { describe, expect, test } from "vitest";
import { createSingleFlight, shareNextRun } from "./single-flight.ts";

describe("a single flight", () => {
  test("runs once for the callers of one key at once", async () => {
    const flights = createSingleFlight();
    const gate = Promise.withResolvers<void>();
    let runs = 0;
    const work = () => {
      runs++;
      return gate.promise;
    };
    const all = Promise.all([flights.share("a", work), flights.share("a", work), flights.share("b", work)]);
    gate.resolve();
    await all;
    expect(runs).toBe(2);
  });

  test("runs again for a caller that comes after the end", async () => {
    const flights = createSingleFlight();
    let runs = 0;
    const work = async () => void runs++;
    await flights.share("a", work);
    await flights.share("a", work);
    expect(runs).toBe(2);
  });

  test("rejects for every caller when the run fails", async () => {
    const flights = createSingleFlight();
    const gate = Promise.withResolvers<void>();
    const both = Promise.allSettled([flights.share("a", () => gate.promise), flights.share("a", () => gate.promise)]);
    gate.reject(new Error("no"));
    const results = await both;
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });

  test("goes on when one caller leaves, and is aborted when the last one does", async () => {
    const flights = createSingleFlight();
    const [one, two] = [new AbortController(), new AbortController()];
    let aborted = false;
    const work = (signal: AbortSignal) =>
      new Promise<void>((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted = true;
          reject(new Error("aborted"));
        });
      });
    const first = flights.share("a", work, one.signal);
    const second = flights.share("a", work, two.signal);
    one.abort(new Error("bored"));
    await expect(first).rejects.toThrow("bored");
    expect(aborted).toBe(false);
    two.abort(new Error("bored too"));
    await expect(second).rejects.toThrow("bored too");
    expect(aborted).toBe(true);
  });

  test("begins a new run for a caller that comes while the aborted one is still ending", async () => {
    const flights = createSingleFlight();
    const leaving = new AbortController();
    const stuck = flights.share("a", () => new Promise<void>(() => {}), leaving.signal);
    leaving.abort(new Error("bored"));
    await expect(stuck).rejects.toThrow("bored");
    await expect(flights.share("a", async () => {})).resolves.toBeUndefined();
  });

  test("begins no run for a caller whose signal is aborted already", async () => {
    const flights = createSingleFlight();
    let runs = 0;
    await expect(flights.share("a", async () => void runs++, AbortSignal.abort(new Error("gone")))).rejects.toThrow(
      "gone",
    );
    expect(runs).toBe(0);
  });
});

describe("shareNextRun", () => {
  /** Work whose runs end when the test says so. */
  function controlled() {
    const runs: PromiseWithResolvers<number>[] = [];
    const share = shareNextRun(() => {
      const run = Promise.withResolvers<number>();
      runs.push(run);
      return run.promise;
    });
    const expectBegun = async (count: number) => {
      await new Promise(setImmediate);
      expect(runs).toHaveLength(count);
    };
    return { share, runs, expectBegun };
  }

  test("gives all callers of one moment the same run", async () => {
    const { share, runs, expectBegun } = controlled();
    const answers = Promise.all([share(), share(), share()]);
    await expectBegun(1);
    runs[0]?.resolve(7);
    expect(await answers).toEqual([7, 7, 7]);
  });

  test("gives the callers that come during a run the next one, as the first may have seen an older state", async () => {
    const { share, runs, expectBegun } = controlled();
    const first = share();
    await expectBegun(1);
    const later = Promise.all([share(), share()]);
    await expectBegun(1);
    runs[0]?.resolve(1);
    await expectBegun(2);
    runs[1]?.resolve(2);
    expect([await first, await later]).toEqual([1, [2, 2]]);
  });

  test("rejects a failed run for its own callers, and runs again for the next ones", async () => {
    const { share, runs, expectBegun } = controlled();
    const failing = share().catch((error: Error) => error.message);
    await expectBegun(1);
    const later = share();
    runs[0]?.reject(new Error("gone"));
    expect(await failing).toBe("gone");
    await expectBegun(2);
    runs[1]?.resolve(2);
    expect(await later).toBe(2);
  });
});
