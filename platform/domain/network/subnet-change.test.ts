import { expect, test } from "vitest";
import { refuseMovedSubnets } from "./subnet-change.ts";

const SETTINGS = { pool: "10.172.0.0/16", platform: "10.171.0.0/24" };
const refusal = (...subnets: string[]) =>
  refuseMovedSubnets(
    SETTINGS,
    subnets.map((subnet, index) => ({ id: `env-${index}`, subnet })),
    null,
  );

test("subnets that everything lies in are fine, and so is a machine with nothing on it", () => {
  expect(refusal()).toBeNull();
  expect(refusal("10.172.0.0/28", "10.172.255.240/28", "10.172.0.0/16")).toBeNull();
  expect(refuseMovedSubnets(SETTINGS, [], SETTINGS.platform)).toBeNull();
});

test.each(["10.173.0.0/28", "10.171.255.240/28", "10.172.0.0/15", "0.0.0.0/0"])(
  "a pool that does not hold an environment's %s is refused, and both are named",
  (subnet) => {
    const reason = refusal("10.172.0.0/28", subnet);
    expect(reason).toContain(`SUBNET_POOL is 10.172.0.0/16`);
    expect(reason).toContain(`env-1 (${subnet}).`);
    expect(reason).not.toContain("env-0");
  },
);

test("of many environments outside ten are named and the rest counted", () => {
  expect(refusal(...Array.from({ length: 12 }, () => "10.9.0.0/28"))).toContain("env-9 (10.9.0.0/28) and 2 more.");
});

test("another subnet than the platform's network has is refused", () => {
  const reason = refuseMovedSubnets(SETTINGS, [], "10.181.0.0/24");
  expect(reason).toContain("PLATFORM_SUBNET is 10.171.0.0/24, and the platform's network has 10.181.0.0/24");
});
