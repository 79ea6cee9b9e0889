import { describe, expect, test } from "vitest";
import { readJsonLines } from "./json-lines.ts";

async function read(chunks: Iterable<Buffer>): Promise<unknown[]> {
  const values: unknown[] = [];
  async function* source() {
    yield* chunks;
  }
  for await (const value of readJsonLines(source())) values.push(value);
  return values;
}

describe("a stream of JSON lines", () => {
  const bytes = Buffer.from('{"a":"ä😀"}\r\n\n[1]\n{"last":true}');

  test("gives the same values wherever it is cut in two", async () => {
    for (let at = 0; at <= bytes.length; at++) {
      expect(await read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual([{ a: "ä😀" }, [1], { last: true }]);
    }
  });

  test("gives the same values byte by byte", async () => {
    expect(await read([...bytes].map((byte) => Buffer.from([byte])))).toEqual([{ a: "ä😀" }, [1], { last: true }]);
  });

  test("gives nothing when it is empty", async () => {
    expect(await read([])).toEqual([]);
  });

  test("fails with engine_failed when a line is not JSON", async () => {
    await expect(read([Buffer.from('{"a":1}\nnope\n')])).rejects.toMatchObject({ code: "engine_failed" });
  });

  test("fails with engine_failed, and holds a bounded amount, when a line has no end", async () => {
    let given = 0;
    function* endless() {
      for (;;) {
        given++;
        yield Buffer.alloc(65_536, 0x61);
      }
    }
    await expect(read(endless())).rejects.toMatchObject({ code: "engine_failed" });
    expect(given).toBeLessThan(20);
  });
});
