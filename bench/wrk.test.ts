import { expect, test } from "vitest";
import { parseWrk } from "./wrk.ts";

const REPORT = (p99: string, more = "") => `Running 5s test @ http://127.0.0.1:80/health
  2 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    12.04ms    3.18ms  44.90ms   91.62%
    Req/Sec     2.68k   232.91     3.05k    80.00%
  Latency Distribution
     50%   11.30ms
     75%   12.31ms
     90%   14.43ms
     99%   ${p99}
  26745 requests in 5.01s, 5.25MB read
${more}Requests/sec:   5338.61
Transfer/sec:      1.05MB
`;

test("a report is read in milliseconds, whatever unit wrk chose", () => {
  expect(parseWrk(REPORT("26.25ms"))).toEqual({ perSecond: 5338.61, p99Ms: 26.25, requests: 26745, errors: 0 });
  expect(parseWrk(REPORT("812.00us")).p99Ms).toBeCloseTo(0.812);
  expect(parseWrk(REPORT("1.50s")).p99Ms).toBe(1500);
});

test("errors of the sockets and bad answers are counted together", () => {
  const errors = "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n";
  expect(parseWrk(REPORT("1.00ms", errors)).errors).toBe(15);
});

test("half a report is an error rather than a zero", () => {
  expect(() => parseWrk("Running 5s test")).toThrow("Cannot read wrk's report");
  expect(() => parseWrk(REPORT(""))).toThrow("Cannot read wrk's report");
});
