import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../../test/support/any-text.ts";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { BLOCK_BYTES, closeFiles, linesBackwards, openChain } from "./file-chain.ts";

async function readBack(path: string): Promise<string[]> {
  const files = await openChain(path, 3);
  const lines: string[] = [];
  try {
    for await (const batch of linesBackwards(files)) lines.push(...batch);
  } finally {
    await closeFiles(files);
  }
  return lines.toReversed();
}

test("reading backwards gives a file's lines, wherever the blocks cut them", async () => {
  const path = join(await temporaryFolder(), "app.log");
  for (const length of [0, 1, BLOCK_BYTES - 2, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES]) {
    for (const before of ["", "\n", "a\n", "a\n\n", "\u00e9\n"]) {
      for (const after of ["", "\n", "b\n", "\n\n"]) {
        const content = `${before}${"x".repeat(length)}\n${after}`;
        await writeFile(path, content);
        expect(await readBack(path)).toEqual(content.slice(0, -1).split("\n"));
      }
    }
  }
});

test("reading backwards gives any lines as they were written", async () => {
  const path = join(await temporaryFolder(), "app.log");
  const long = fc.nat({ max: 2 * BLOCK_BYTES }).map((length) => "\u{1f4a5}".repeat(length / 4));
  const line = fc.oneof({ weight: 9, arbitrary: anyText() }, { weight: 1, arbitrary: long });
  const lines = fc.array(
    line.map((text) => text.replaceAll("\n", "")),
    { maxLength: 10 },
  );
  await fc.assert(
    fc.asyncProperty(lines, async (given) => {
      await writeFile(path, given.map((text) => `${text}\n`).join(""));
      // Written and read as UTF-8, like any file.
      expect(await readBack(path)).toEqual(given.map((text) => Buffer.from(text).toString()));
    }),
    { numRuns: 100 },
  );
});

test("reading backwards ends where the file shrinks meanwhile", async () => {
  const path = join(await temporaryFolder(), "app.log");
  await writeFile(path, "line\n".repeat(100_000));
  const [file] = await openChain(path, 0);
  if (file === undefined) throw new Error("no file");
  await writeFile(path, "line\n");
  let count = 0;
  for await (const batch of linesBackwards([file])) count += batch.length;
  expect(count).toBeLessThan(100_000);
  await closeFiles([file]);
});
