import { describe, expect, test } from "vitest";
import { checkStateDir, type StateDirFacts } from "./state-dir-rule.ts";

const SUBNETS = { subnet_pool: "10.172.0.0/16", platform_subnet: "10.171.0.0/24" };
const SENTINEL = { id: "one", ...SUBNETS };
const OTHER_SUBNETS = { subnet_pool: "10.182.0.0/16", platform_subnet: "10.181.0.0/24" };

const facts = (found: Partial<StateDirFacts>): StateDirFacts => ({
  sentinel: SENTINEL,
  copy: "one",
  environments: ["env-a"],
  ...found,
});
const check = (found: Partial<StateDirFacts>, subnets = SUBNETS) => checkStateDir(facts(found), subnets, "new");
const refusal = (found: Partial<StateDirFacts>, subnets = SUBNETS) => {
  const outcome = check(found, subnets);
  return "refusal" in outcome ? outcome.refusal : null;
};

describe("the folder", () => {
  test("without a sentinel and without a copy is a first start's: it gets a new id and the subnets in the settings", () => {
    expect(check({ sentinel: null, copy: null, environments: [] })).toEqual({ sentinel: { ...SENTINEL, id: "new" } });
  });

  test("of a version that knew no sentinel is taken over with its environments", () => {
    expect(check({ sentinel: null, copy: null })).toEqual({ sentinel: { ...SENTINEL, id: "new" } });
  });

  test("with the sentinel that the copy names goes on", () => {
    expect(check({})).toEqual({ sentinel: SENTINEL });
  });

  test("with a sentinel goes on where the copy is gone: the folder itself is all there", () => {
    expect(check({ copy: null })).toEqual({ sentinel: SENTINEL });
  });

  test.each([
    ["without a sentinel", null, "no sentinel file"],
    ["with another sentinel", { ...SENTINEL, id: "two" }, "another sentinel file"],
  ])(
    "%s than the copy names is refused, whether it holds environments or not, and both ways out are told",
    (_, sentinel, words) => {
      for (const environments of [[], ["env-a"]]) {
        const reason = refusal({ sentinel, environments });
        expect(reason).toContain(words);
        expect(reason).toMatch(/Restore the folder.*or run make down/);
      }
    },
  );
});

describe("other subnets in the settings", () => {
  test("are saved where there are no environments", () => {
    expect(check({ environments: [] }, OTHER_SUBNETS)).toEqual({ sentinel: { id: "one", ...OTHER_SUBNETS } });
  });

  test.each([
    ["SUBNET_POOL is 10.182.0.0/16 and was 10.172.0.0/16", { ...SUBNETS, subnet_pool: OTHER_SUBNETS.subnet_pool }],
    [
      "PLATFORM_SUBNET is 10.181.0.0/24 and was 10.171.0.0/24",
      { ...SUBNETS, platform_subnet: OTHER_SUBNETS.platform_subnet },
    ],
  ])("are refused where there are environments: %s", (words, subnets) => {
    for (const copy of ["one", null]) {
      const reason = refusal({ copy, environments: ["env-a", "env-b"] }, subnets);
      expect(reason).toContain(words);
      expect(reason).toMatch(/env-a, env-b\. .*Put the setting back.*or run make down/);
    }
  });

  test("of twelve environments ten are named and the rest counted", () => {
    const environments = Array.from({ length: 12 }, (_, index) => `env-${index}`);
    expect(refusal({ environments }, OTHER_SUBNETS)).toContain("env-8, env-9 and 2 more.");
  });
});
