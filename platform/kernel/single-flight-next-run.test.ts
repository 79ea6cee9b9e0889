import { expect, test } from "vitest";
import { shareNextRun } from "./single-flight.ts";

/** A look that ends when it is told to. */
function controlled() {
  const looks: PromiseWithResolvers<number>[] = [];
  const look = shareNextRun(() => {
    const one = Promise.withResolvers<number>();
    looks.push(one);
    return one.promise;
  });
  const begun = async (count: number) => {
    await new Promise(setImmediate);
    expect(looks).toHaveLength(count);
  };
  return { look, looks, begun };
}

test("all who ask at once share one look", async () => {
  const { look, looks, begun } = controlled();
  const answers = Promise.all([look(), look(), look()]);
  await begun(1);
  looks[0]?.resolve(7);
  expect(await answers).toEqual([7, 7, 7]);
});

test("who asks while a look is under way gets the next one, as what it sees may be from before", async () => {
  const { look, looks, begun } = controlled();
  const first = look();
  await begun(1);
  const later = Promise.all([look(), look()]);
  await begun(1);
  looks[0]?.resolve(1);
  await begun(2);
  looks[1]?.resolve(2);
  expect([await first, await later]).toEqual([1, [2, 2]]);
});

test("a look that fails fails for those who waited for it, and for nobody after", async () => {
  const { look, looks, begun } = controlled();
  const failing = look().catch((error: Error) => error.message);
  await begun(1);
  const later = look();
  looks[0]?.reject(new Error("gone"));
  expect(await failing).toBe("gone");
  await begun(2);
  looks[1]?.resolve(2);
  expect(await later).toBe(2);
});
