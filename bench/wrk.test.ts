import { expect, test } from "vitest";
import { parseWrk } from "./wrk.ts";

const REPORT = (errors = "") => `Running 5s test @ http://127.0.0.1:80/health
  2 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    12.04ms    3.18ms  44.90ms   91.62%
    Req/Sec     2.68k   232.91     3.05k    80.00%
  26745 requests in 5.01s, 5.25MB read
${errors}Requests/sec:   5338.61
Transfer/sec:      1.05MB
`;

test("parseWrk reads the rate, and adds up errors of sockets and bad answers", () => {
  expect(parseWrk(REPORT())).toEqual({ perSecond: 5338.61, errors: 0 });
  const errors = "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n";
  expect(parseWrk(REPORT(errors)).errors).toBe(15);
});

test("parseWrk throws for half a report instead of giving a zero", () => {
  expect(() => parseWrk("Running 5s test")).toThrow("Cannot read wrk's report");
});
