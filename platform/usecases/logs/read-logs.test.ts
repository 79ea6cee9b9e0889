import { expect, test } from "vitest";
import { useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { aLine, collectAll, textsOf } from "../../test/support/log-lines.ts";
import { aRecord } from "../../test/support/record.ts";
import { followLogs } from "./read-logs.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

test.each(["destroyed", "quarantined"])(
  "following a %s environment gives its last lines at the reader's pace, and ends",
  async (state) => {
    const { id } = aRecord();
    await platform.logs.append(id, [aLine(1, "one"), aLine(2, "two"), aLine(3, "three")]);
    if (state === "destroyed") await platform.logs.archive(id);
    platform.logs.read = () => Promise.reject(new Error("read as a whole"));
    const lines = followLogs(platform, id, { lines: 2 }, new AbortController().signal);
    expect(textsOf(await collectAll(lines))).toEqual(["two", "three"]);
  },
);
