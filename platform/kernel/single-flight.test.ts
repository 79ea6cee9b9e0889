import { describe, expect, test } from "vitest";
import { createSingleFlight } from "./single-flight.ts";

describe("shared work", () => {
  test("is done once for those who ask for the same at once", async () => {
    const shared = createSingleFlight();
    const gate = Promise.withResolvers<void>();
    let begun = 0;
    const work = () => {
      begun++;
      return gate.promise;
    };
    const all = Promise.all([shared.share("a", work), shared.share("a", work), shared.share("b", work)]);
    gate.resolve();
    await all;
    expect(begun).toBe(2);
  });

  test("is done anew for those who ask after it ended", async () => {
    const shared = createSingleFlight();
    let begun = 0;
    const work = async () => void begun++;
    await shared.share("a", work);
    await shared.share("a", work);
    expect(begun).toBe(2);
  });

  test("fails for all who wait when it fails", async () => {
    const shared = createSingleFlight();
    const gate = Promise.withResolvers<void>();
    const both = Promise.allSettled([shared.share("a", () => gate.promise), shared.share("a", () => gate.promise)]);
    gate.reject(new Error("no"));
    const results = await both;
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });

  test("goes on for the others when one leaves, and is aborted when the last one does", async () => {
    const shared = createSingleFlight();
    const [one, two] = [new AbortController(), new AbortController()];
    let aborted = false;
    const work = (signal: AbortSignal) =>
      new Promise<void>((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted = true;
          reject(new Error("aborted"));
        });
      });
    const first = shared.share("a", work, one.signal);
    const second = shared.share("a", work, two.signal);
    one.abort(new Error("bored"));
    await expect(first).rejects.toThrow("bored");
    expect(aborted).toBe(false);
    two.abort(new Error("bored too"));
    await expect(second).rejects.toThrow("bored too");
    expect(aborted).toBe(true);
  });

  test("is begun anew for who comes while aborted work is still ending", async () => {
    const shared = createSingleFlight();
    const leaving = new AbortController();
    const stuck = shared.share("a", () => new Promise<void>(() => {}), leaving.signal);
    leaving.abort(new Error("bored"));
    await expect(stuck).rejects.toThrow("bored");
    await expect(shared.share("a", async () => {})).resolves.toBeUndefined();
  });

  test("does not begin for a caller that has gone already", async () => {
    const shared = createSingleFlight();
    let begun = 0;
    await expect(shared.share("a", async () => void begun++, AbortSignal.abort(new Error("gone")))).rejects.toThrow(
      "gone",
    );
    expect(begun).toBe(0);
  });
});
