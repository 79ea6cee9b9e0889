import { expect, test } from "vitest";
import { createChangeQueue, type PendingChange } from "./change-queue.ts";

/** A queue that says when a batch was applied, in milliseconds, and what was in it. */
function startQueue(): { submit: ReturnType<typeof createChangeQueue>; batches: { at: number; files: string[] }[] } {
  const batches: { at: number; files: string[] }[] = [];
  const apply = async (batch: PendingChange[]): Promise<void> => {
    batches.push({ at: performance.now(), files: batch.map(({ file }) => file) });
    for (const change of batch) change.resolve();
  };
  return { submit: createChangeQueue(apply), batches };
}

test("removals wait for more of them, and are one batch", async () => {
  const { submit, batches } = startQueue();
  const first = submit("a.conf", null);
  await new Promise((done) => setTimeout(done, 10));
  await Promise.all([first, submit("b.conf", null)]);
  expect(batches.map(({ files }) => files)).toEqual([["a.conf", "b.conf"]]);
});

test("an upsert does not wait for more removals, and takes pending ones along", async () => {
  const { submit, batches } = startQueue();
  const alone = performance.now();
  await submit("a.conf", null);
  const debounced = performance.now() - alone;
  const removal = submit("b.conf", null);
  await new Promise((done) => setTimeout(done, 5));
  const asked = performance.now();
  await Promise.all([removal, submit("c.conf", "server {}")]);
  expect(batches.slice(1).map(({ files }) => files)).toEqual([["b.conf", "c.conf"]]);
  expect((batches[1]?.at ?? Infinity) - asked).toBeLessThan(debounced / 2);
});

test("two changes of one file are two batches, in their order", async () => {
  const { submit, batches } = startQueue();
  await Promise.all([submit("a.conf", "server {}"), submit("b.conf", null), submit("a.conf", null)]);
  expect(batches.map(({ files }) => files)).toEqual([["a.conf", "b.conf"], ["a.conf"]]);
});

test("a batch whose application throws is rejected, and the next one is applied", async () => {
  let isBroken = true;
  const submit = createChangeQueue(async (batch) => {
    if (isBroken) throw new Error("broken");
    for (const change of batch) change.resolve();
  });
  await expect(submit("a.conf", "server {}")).rejects.toThrow("broken");
  isBroken = false;
  await submit("a.conf", "server {}");
});
