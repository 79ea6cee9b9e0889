import { expect, test } from "vitest";
import { judgeFirewall } from "./firewall-heartbeat.ts";

const AT = Date.parse("2026-11-25T10:00:00Z");
const say = (state: string, laterMs = 2_000) => judgeFirewall({ state, at: AT }, AT + laterMs, "sandbox");
const STANDS = "boot-1 0123456789abcdef ours\n";

test("the firewall is well when it has just said which rules stand", () => {
  expect(say(STANDS)).toEqual({ ok: true, detail: "the rules stand" });
  expect(say("boot-1 0123456789abcdef docker\n")).toEqual({
    ok: true,
    detail: expect.stringContaining("Docker alone keeps environments"),
  });
});

test.each([
  ["has never said anything", judgeFirewall(null, AT, "sandbox"), /said nothing/],
  ["has failed", say("boot-1 failed\n"), /cannot set its rules/],
  ["has said half a word", say("boot-1\n"), /cannot set its rules/],
  ["has said nothing since long", say(STANDS, 60_000), /not looked at its rules for 60 s/],
  ["speaks from the future, since the clock was set back", say(STANDS, -60_000), /for 60 s/],
])("the firewall is not well when it %s, and what to do is said", (_, { ok, detail }, why) => {
  expect(ok).toBe(false);
  expect(detail).toMatch(why);
  expect(detail).toMatch(/docker logs sandbox-firewall, then: make up$/);
});
