import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { anyText } from "./any-text.ts";
import type { FuzzRequest } from "./encode-request.ts";

const WORDS =
  "__proto__ constructor prototype toString hasOwnProperty -1 1e999 NaN 9007199254740993 env- env-- ENV-A-1 env-a-1.json quarantine archived 00-config-version sandbox sandbox-nginx sandbox-demo-app:latest demo:latest localhost 127.0.0.1 null";
const PATHS =
  "../../../../etc/passwd ..%2f..%2f..%2fetc%2fpasswd ..\\..\\windows /etc/passwd . .. ~root % %00 %zz %ff%fe *";
const NASTY = [
  ...WORDS.split(" "),
  ...PATHS.split(" "),
  "$(touch /tmp/owned)",
  "`touch /tmp/owned`",
  "; touch /tmp/owned;",
  "a;}server{listen 80;",
  "x{y}z;#",
  "$request_uri",
  "${jndi:ldap://x}",
  "a\r\nX-Injected: yes",
  "a\nb",
  "\0",
  "\u{1f4a5}",
  "\u202eevil",
  "e\u0301",
  "\ud800",
  "x".repeat(64),
  "x".repeat(5000),
  "' OR 1=1 --",
  "<script>alert(1)</script>",
  "",
  " ",
];

/** One choice of fc.oneof, which is made `weight` times as often as one of weight 1. */
const weighted = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
const nasty = fc.constantFrom(...NASTY);
const text = fc.oneof(weighted(3, nasty), weighted(1, anyText(80)));
const number = fc.oneof(
  fc.constantFrom(0, -0, -1, 1, 9, 10, 60, 80, 3000, 65_535, 65_536, 86_400, 2 ** 31, 2 ** 53, 1e21, 1e308, 0.1, -1e-7),
  fc.integer(),
  fc.double(),
);
const anything = fc.oneof(
  weighted(4, text),
  weighted(3, number),
  weighted(2, fc.constantFrom(null, true, false, [], {})),
  weighted(1, fc.array(text, { maxLength: 5 })),
  weighted(1, fc.dictionary(text, text, { maxKeys: 5 })),
);

/** Mostly right, so that requests get past the checks of their other fields. */
function likely<T>(right: fc.Arbitrary<T>): fc.Arbitrary<unknown> {
  return fc.oneof(weighted(9, right as fc.Arbitrary<unknown>), weighted(1, anything));
}

/** Mostly long enough to be masked. */
const secret = fc.oneof(text, ...["secret ", "a long one: "].map((words) => text.map((value) => words + value)));

function createBody(images: string[]): fc.Arbitrary<object> {
  const known = fc.record(
    {
      name: likely(text),
      ttl: likely(fc.integer({ min: 10, max: 86_400 })),
      image: fc.constantFrom<unknown>(...images, "Not An Image", "", 7, null),
      port: likely(fc.integer({ min: 1, max: 65_535 })),
      health_path: likely(
        fc.oneof(
          fc.constantFrom("/", "/health", "/a;}b", "/$uri{"),
          nasty.map((part) => `/${part}`),
        ),
      ),
      command: likely(fc.array(text, { minLength: 1, maxLength: 3 })),
      env: likely(fc.dictionary(fc.constantFrom("A", "PATH", "_x", "LD_PRELOAD", "__proto__"), text, { maxKeys: 4 })),
      resources: likely(fc.constantFrom({}, { memory_mb: 64 }, { cpus: 0.5, pids: 16 }, { memory_mb: 1e308 })),
      secrets: likely(fc.dictionary(fc.constantFrom("TOKEN", "KEY", "constructor"), secret, { maxKeys: 2 })),
      egress: likely(fc.boolean()),
    },
    { requiredKeys: [] },
  );
  const unknown = fc.oneof(
    weighted(9, fc.constant({})),
    weighted(1, fc.dictionary(text, anything, { minKeys: 1, maxKeys: 2 })),
  );
  return fc.tuple(known, unknown).map(([right, wrong]) => ({ ...right, ...wrong }));
}

const otherBody = fc.oneof(
  fc.record({ seconds: likely(number) }, { requiredKeys: [] }),
  fc.record(
    {
      mode: likely(fc.constantFrom("crash", "pause", "network", "stress", "recover", "constructor")),
      service: likely(text),
      duration: likely(number),
    },
    { requiredKeys: [] },
  ),
  anything,
);

const bytesOf = (value: string): Uint8Array => Buffer.from(value, "utf8");
const nested = fc
  .tuple(fc.constantFrom("[", '{"a":', '{"env":', '{"__proto__":'), fc.constantFrom(10, 1000, 20_000, 100_000))
  .map(([opening, depth]) =>
    bytesOf(opening.repeat(depth) + (opening === "[" ? "]" : "1}").repeat(opening === "[" ? depth : 1)),
  );

/** Far more fields than a refusal names. */
const KEYS = Array.from({ length: 20_000 }, (_, index) => `"k${index}"`);
const manyKeys = fc
  .tuple(fc.constantFrom("env", "secrets", "resources", "command", ""), fc.constantFrom(101, KEYS.length), anything)
  .map(([field, count, value]) => {
    const [keys, json] = [KEYS.slice(0, count), JSON.stringify(value)];
    const fields = () => keys.map((key, index) => `${key}:${index % 2 ? json : '"x"'}`);
    const many = field === "command" ? `[${keys.join()}]` : `{${fields().join()}}`;
    return bytesOf(field === "" ? many : `{"${field}":${many}}`);
  });

const COMPRESSED = [10, 20_000_000].map((size) => gzipSync(Buffer.alloc(size, " ")));

const bodyOf = (images: string[]): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    weighted(
      12,
      createBody(images).map((value) => bytesOf(JSON.stringify(value))),
    ),
    weighted(
      10,
      otherBody.map((value) => bytesOf(JSON.stringify(value) ?? "")),
    ),
    weighted(
      2,
      fc
        .constantFrom(
          '{"__proto__":{"polluted":true}}',
          '{"constructor":{"prototype":{"polluted":true}}}',
          '{"env":{"__proto__":{"polluted":"x"}}}',
          '{"ttl":60,"ttl":"x"}',
          '{"name":"\\ud800"}',
          '{"ttl":1e400}',
          "\ufeff{}",
          "{",
          "'",
          "undefined",
        )
        .map(bytesOf),
    ),
    weighted(1, nested),
    weighted(1, manyKeys),
    weighted(1, fc.uint8Array({ maxLength: 300 })),
    weighted(
      1,
      fc.constantFrom(200_000, 262_144, 300_000).map((size) => bytesOf(`{"name":"${"x".repeat(size)}"}`)),
    ),
    weighted(1, fc.constantFrom(...COMPRESSED)),
  );

const header: fc.Arbitrary<[string, string]> = fc.oneof(
  fc.tuple(
    fc.constant("Accept"),
    fc.constantFrom("*/*", "text/event-stream", "text/plain", "application/xml", ";;q=x", ""),
  ),
  fc.tuple(fc.constant("Idempotency-Key"), fc.oneof(fc.constantFrom("k1", "k2"), text)),
  fc.tuple(fc.constant("X-Request-Id"), text),
  fc.tuple(fc.constant("Last-Event-ID"), fc.constantFrom("0", "-1", "1e9", "9".repeat(40), "x")),
  fc.tuple(fc.constant("Content-Encoding"), fc.constantFrom("gzip", "br", "deflate", "identity", "x", "gzip, gzip")),
  fc.tuple(fc.constant("Expect"), fc.constantFrom("100-continue", "the-unexpected")),
  fc.tuple(fc.constant("Authorization"), text),
  fc.tuple(fc.constant("Origin"), fc.constantFrom("null", "http://evil.example", "http://env-a-1.localhost")),
  fc.tuple(fc.constant("Upgrade"), fc.constantFrom("websocket", "h2c")),
  fc.tuple(
    fc.constantFrom("X-Forwarded-For", "X-Forwarded-Host", "X-HTTP-Method-Override", "Range", "Cookie", "Host"),
    text,
  ),
  fc.tuple(text, text),
);

const contentType: fc.Arbitrary<[string, string]> = fc.tuple(
  fc.constant("Content-Type"),
  fc.oneof(
    weighted(30, fc.constant("application/json")),
    weighted(
      3,
      fc.constantFrom(
        "application/json; charset=utf-16",
        "application/json;charset=x",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/json, text/html",
        "",
      ),
    ),
    weighted(1, text),
  ),
);

const idPart = fc.oneof(
  weighted(4, fc.constant("{id}")),
  weighted(
    3,
    text.map((part) => encodeURIComponent(part.toWellFormed())),
  ),
  weighted(1, nasty),
);
const query = fc.oneof(
  fc.constant(""),
  fc
    .array(
      fc.tuple(
        fc.oneof(fc.constantFrom("lines", "since", "grep", "service", "limit", "lines[]", "__proto__"), text),
        fc.oneof(fc.constantFrom("0", "10", "10m"), text),
      ),
      { maxLength: 3 },
    )
    .map(
      (pairs) =>
        `?${pairs.map(([key, value]) => `${encodeURIComponent(key.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`).join("&")}`,
    ),
  text.map((part) => `?${part}`),
);
const target = fc.oneof(
  weighted(6, fc.constantFrom("/envs", "/envs/", "/ENVS", "/envs?x=1")),
  weighted(
    12,
    fc
      .tuple(
        idPart,
        fc.constantFrom("", "/logs", "/health", "/outage", "/extend", "/deploy", "/rollback", "/deploys"),
        query,
      )
      .map(([id, rest, search]) => `/envs/${id}${rest}${search}`),
  ),
  weighted(
    3,
    fc
      .tuple(fc.constantFrom("/healthz", "/events", "/audit", "/halt", "/metrics", "/docs", "/"), query)
      .map((parts) => parts.join("")),
  ),
  weighted(
    2,
    text.map((part) => `/${part}`),
  ),
  weighted(
    1,
    fc.constantFrom(
      "*",
      "http://evil.example/envs",
      "//envs",
      "/envs//",
      "/%2e%2e/%2e%2e/etc/passwd",
      "/envs/%",
      "evil.example:443",
      "",
    ),
  ),
);

/**
 * Requests of every kind that a program, a browser or an attacker could send. `images` are the only well-formed image
 * names, so that no registry is asked for invented ones.
 */
export const fuzzRequests = (images: string[]): fc.Arbitrary<FuzzRequest> =>
  fc.record({
    method: fc.oneof(
      weighted(12, fc.constantFrom("GET", "POST", "POST", "POST", "DELETE")),
      weighted(
        1,
        fc.constantFrom("HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "NONSENSE"),
      ),
    ),
    target,
    headers: fc.tuple(contentType, fc.array(header, { maxLength: 3 })).map(([type, more]) => [type, ...more]),
    framing: fc.oneof(
      weighted(14, fc.constant("exact" as const)),
      weighted(
        1,
        fc.constantFrom(
          "chunked" as const,
          "short" as const,
          "long" as const,
          "both" as const,
          "broken-chunks" as const,
          "none" as const,
        ),
      ),
    ),
    body: bodyOf(images),
  });
