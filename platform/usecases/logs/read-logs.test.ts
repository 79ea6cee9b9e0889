import { expect, test } from "vitest";
import { useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { aLine, collectAll, textsOf } from "../../test/support/log-lines.ts";
import { aRecord } from "../../test/support/record.ts";
import { followLogs } from "./read-logs.ts";

let context: FakeContext;
useFakeContext((fresh) => (context = fresh));

test.each(["destroyed", "set aside"])(
  "following a %s environment gives its last lines at the reader's pace, and ends",
  async (state) => {
    const { id } = aRecord();
    await context.logs.append(id, [aLine(1, "one"), aLine(2, "two"), aLine(3, "three")]);
    if (state === "destroyed") await context.logs.archive(id);
    context.logs.read = () => Promise.reject(new Error("read as a whole"));
    const lines = followLogs(context, id, { lines: 2 }, new AbortController().signal);
    expect(textsOf(await collectAll(lines))).toEqual(["two", "three"]);
  },
);
