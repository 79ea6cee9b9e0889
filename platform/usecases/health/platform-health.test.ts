import { expect, test } from "vitest";
import { useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { createPlatformHealth } from "./platform-health.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

test("healthz reports a part that gives no answer in time, and is well in the others", async () => {
  platform.engine.info = () => new Promise(() => {});
  const { status, parts } = await createPlatformHealth({ ...platform, partLimitMs: 50 })({ ok: true, detail: "" });
  expect(status).toBe("failing");
  expect(parts.engine).toEqual({ ok: false, detail: "no answer within 0.05 s" });
  expect(parts.store.ok).toBe(true);
});
