import { expect, test } from "vitest";
import { createSubnetAllocator, formatSubnet, overlaps, parseSubnet, readRange } from "./subnets.ts";

const POOL = parseSubnet("10.172.0.0/26"); // four /28

test("the allocator hands out every subnet once and then says that there is none", () => {
  const allocator = createSubnetAllocator(POOL, 28);
  const taken = Array.from({ length: 4 }, () => allocator.take()).map((subnet) => subnet && formatSubnet(subnet));
  expect(taken).toEqual(["10.172.0.0/28", "10.172.0.16/28", "10.172.0.32/28", "10.172.0.48/28"]);
  expect(allocator.take()).toBeNull();
  expect(allocator.usage()).toEqual({ used: 4, total: 4 });
});

test("the subnet freed longest ago is reused first", () => {
  const allocator = createSubnetAllocator(POOL, 28);
  for (let i = 0; i < 4; i++) allocator.take();
  allocator.free(parseSubnet("10.172.0.32/28"));
  allocator.free(parseSubnet("10.172.0.0/28"));
  expect(allocator.take()).toEqual(parseSubnet("10.172.0.32/28"));
  expect(allocator.take()).toEqual(parseSubnet("10.172.0.0/28"));
});

test("subnets claimed at start are not handed out again, and can be freed", () => {
  const allocator = createSubnetAllocator(POOL, 28);
  allocator.claim(parseSubnet("10.172.0.0/28"));
  allocator.claim(parseSubnet("10.172.0.32/28"));
  expect(allocator.take()).toEqual(parseSubnet("10.172.0.16/28"));
  expect(allocator.take()).toEqual(parseSubnet("10.172.0.48/28"));
  expect(allocator.take()).toBeNull();
  allocator.free(parseSubnet("10.172.0.32/28"));
  expect(allocator.take()).toEqual(parseSubnet("10.172.0.32/28"));
});

test("a subnet freed before it was ever reached is handed out once", () => {
  const allocator = createSubnetAllocator(POOL, 28);
  allocator.claim(parseSubnet("10.172.0.48/28"));
  allocator.free(parseSubnet("10.172.0.48/28"));
  const taken = Array.from({ length: 5 }, () => allocator.take());
  expect(taken.filter((subnet) => subnet !== null)).toHaveLength(4);
});

test("what something else uses is passed over", () => {
  const used = parseSubnet("10.172.0.0/27");
  const allocator = createSubnetAllocator(POOL, 28, (subnet) => overlaps(subnet, used));
  expect(allocator.take()).toEqual(parseSubnet("10.172.0.32/28"));
});

test("what lies outside the pool is neither claimed nor freed", () => {
  const allocator = createSubnetAllocator(POOL, 28);
  allocator.claim(parseSubnet("10.99.0.0/28"));
  allocator.free(parseSubnet("10.172.1.0/28"));
  expect(allocator.usage().used).toBe(0);
});

test.each(["10.0.0.0", "10.0.0.1/28", "10.0.0.0/33", "300.0.0.0/8", "10.0.0/24", "x/8", "10.0.0.0/"])(
  "%s is no subnet",
  (text) => {
    expect(() => parseSubnet(text)).toThrow(RangeError);
  },
);

test("a range of somebody else's counts without its host bits, and not at all when it is none", () => {
  expect(readRange("172.20.0.1/16")).toEqual(parseSubnet("172.20.0.0/16"));
  expect(readRange("10.172.0.16/28")).toEqual(parseSubnet("10.172.0.16/28"));
  for (const text of ["", "fd00::/64", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/x", "10.0.0.256/8"])
    expect(readRange(text)).toBeNull();
});
