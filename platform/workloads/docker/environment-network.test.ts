import { expect, test } from "vitest";
import { parseSubnet } from "../../domain/network/subnets.ts";
import { environmentNetwork, freeAddress } from "./environment-network.ts";

const network = environmentNetwork("sandbox-env-a", parseSubnet("10.172.3.16/28"));

test("an environment's network has fixed places for gateway and edge proxy", () => {
  expect(network).toEqual({
    name: "sandbox-env-a",
    subnet: "10.172.3.16/28",
    gateway: "10.172.3.17",
    edgeAddress: "10.172.3.18",
  });
});

test("services get the first addresses after the edge proxy that are free", () => {
  expect(freeAddress(network, [])).toBe("10.172.3.19");
  expect(freeAddress(network, ["10.172.3.19", "10.172.3.21"])).toBe("10.172.3.20");
});
