import { describe, expect, test } from "vitest";
import { aRecord } from "../../test/support/record.ts";
import { checkQuota, countToEvict, type QuotaLimits } from "./quota.ts";

const NONE: QuotaLimits = { environments: 0, environmentsPerOwner: 0, memoryMb: 0, cpus: 0, pids: 0 };
const RESOURCES = { memory_mb: 256, cpus: 0.1, pids: 64 };

function environments(count: number, owner: string | null = null) {
  const [service] = aRecord().services;
  if (service === undefined) throw new Error("no service");
  return Array.from({ length: count }, (_, index) =>
    aRecord({ id: `env-a-${index}`, owner, services: [{ ...service, resources: RESOURCES }] }),
  );
}

const wanted = (owner: string | null = null) => ({ owner, resources: RESOURCES });

test("0 is no limit", () => {
  expect(checkQuota(environments(500, "ann"), wanted("ann"), NONE)).toBeNull();
});

describe.each([
  ["environments", { environments: 3 }, /3 of 3 environments.*MAX_ENVS/],
  ["memory", { memoryMb: 1023 }, /768 of 1023 MiB.*asks for 256.*MAX_MEMORY_MB/],
  ["CPUs", { cpus: 0.39 }, /0\.3 of 0\.39 CPUs.*asks for 0\.1.*MAX_CPUS/],
  ["processes", { pids: 255 }, /192 of 255 processes.*asks for 64.*MAX_PIDS/],
])("the limits of the machine's %s", (_name, limit, numbers) => {
  test("refuse one environment too many, with the numbers", () => {
    const refusal = checkQuota(environments(3), wanted(), { ...NONE, ...limit });
    expect(refusal?.code).toBe("capacity_exhausted");
    expect(refusal?.detail).toMatch(numbers);
  });

  test("let an environment in that just fits, and fractions add up", () => {
    const roomy = { ...NONE, environments: 4, memoryMb: 1024, cpus: 0.4, pids: 256 };
    expect(checkQuota(environments(3), wanted(), roomy)).toBeNull();
  });
});

describe("an owner with a limit", () => {
  const limits = { ...NONE, environmentsPerOwner: 2, environments: 2 };

  test("is refused by the own limit before the machine's, and other owners are not", () => {
    const refusal = checkQuota(environments(2, "ann"), wanted("ann"), limits);
    expect(refusal).toMatchObject({ code: "quota_exceeded", detail: expect.stringContaining('"ann" has 2 of 2') });
    expect(checkQuota(environments(2, "ann"), wanted("bob"), { ...limits, environments: 0 })).toBeNull();
  });

  test("does not limit environments without an owner", () => {
    expect(checkQuota(environments(2), wanted(), { ...limits, environments: 0 })).toBeNull();
  });
});

test("as many warm environments are evicted as do not fit beside the committed ones", () => {
  const inTheWay = (committed: number, limits: Partial<QuotaLimits>) =>
    countToEvict(environments(committed), environments(2), { ...NONE, ...limits });
  expect([1, 2, 3, 4].map((committed) => inTheWay(committed, { memoryMb: 1024 }))).toEqual([0, 0, 1, 2]);
  expect(inTheWay(3, { pids: 256 })).toBe(1);
  expect(inTheWay(500, { environments: 1 })).toBe(0);
});
