import { expect, test } from "vitest";
import { judgeFirewall } from "./firewall-heartbeat.ts";

const AT = Date.parse("2026-11-25T10:00:00Z");
const judge = (state: string, laterMs = 2_000) => judgeFirewall({ state, at: AT }, AT + laterMs, "sandbox");
const STANDING = "boot-1 0123456789abcdef ours\n";

test("the firewall is well when a fresh heartbeat says which rules stand", () => {
  expect(judge(STANDING)).toEqual({ ok: true, detail: "the rules stand" });
  expect(judge("boot-1 0123456789abcdef docker\n")).toEqual({
    ok: true,
    detail: expect.stringContaining("Docker alone keeps environments"),
  });
});

test.each([
  ["has sent no heartbeat", judgeFirewall(null, AT, "sandbox"), /no heartbeat/],
  ["failed to set its rules", judge("boot-1 failed\n"), /cannot set its rules/],
  ["wrote half a heartbeat", judge("boot-1\n"), /cannot set its rules/],
  ["sent its last heartbeat long ago", judge(STANDING, 60_000), /not looked at its rules for 60 s/],
  ["sent a heartbeat before the clock was set back", judge(STANDING, -60_000), /for 60 s/],
])("the firewall is failing when it %s, and the detail names the remedy", (_, { ok, detail }, reason) => {
  expect(ok).toBe(false);
  expect(detail).toMatch(reason);
  expect(detail).toMatch(/docker logs sandbox-firewall, then: make up$/);
});
