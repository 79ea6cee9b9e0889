import { randomInt } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseNginx } from "../support/parse-nginx.ts";
import { describePlatform } from "../support/describe-platform.ts";
import { expectContract } from "../support/expect-contract.ts";
import { encodeRequest, type FuzzRequest } from "../support/encode-request.ts";
import { fuzzRequests } from "../support/fuzz-requests.ts";
import { sendRaw } from "../support/raw-http.ts";
import { leftovers } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] || 600);
const SEED = Number(process.env["FUZZ_SEED"] || randomInt(2 ** 31));
/** An address without a listener: a missing image is refused at once, and no registry is asked. */
const NOWHERE = "127.0.0.1:1/nothing:1";

/** The files that a platform may have in its folders after any request. */
const ALLOWED: Record<string, RegExp> = {
  envs: /^(?:env-[a-z0-9-]+\.json|secrets|quarantine|\.sentinel|\.sandbox)$/,
  logs: /^(?:env-[a-z0-9-]+|archived|events\.jsonl|audit\.jsonl|cleanup\.log)(?:\.\d)?$/,
  "conf.d": /^(?:env-[a-z0-9-]+\.conf|00-config-version\.conf|rejected|enabled|\.reloading)$/,
};

describePlatform(
  "bad input",
  { CREATE_TIMEOUT: "5", CHANGES_LIMIT: "0" },
  (platform) => {
    test(`${RUNS} requests of every kind are answered by the contract and change nothing outside the platform's folders`, async () => {
      const { instance } = platform;
      const port = Number(new URL(instance.apiUrl).port);
      const host = `127.0.0.1:${port}`;
      const { id } = await platform.createDemo({ name: "target" });
      plantCanaries(instance.folder);
      const canaries = snapshot(instance.folder);
      process.stdout.write(`fuzz of a platform: FUZZ_SEED=${SEED} FUZZ_RUNS=${RUNS}\n`);

      async function probe(request: FuzzRequest): Promise<void> {
        const halfClose = ["long", "both", "broken-chunks"].includes(request.framing);
        const target = (await platform.api.show(id)).status === 200 ? id : "env-none-1";
        const answers = await sendRaw(port, encodeRequest(request, host, target), { halfClose, limitMs: 90_000 });
        expect(answers.length).toBeGreaterThan(0);
        for (const answer of answers) expectContract(answer, request.method === "HEAD");
        for (const file of readdirSync(join(instance.folder, "conf.d")).filter((name) => name.startsWith("env-"))) {
          const text = readFileSync(join(instance.folder, "conf.d", file), "utf8");
          const id = file.slice(0, -".conf".length);
          expect(parseNginx(text).map(({ words }) => words)).toEqual([["upstream", id], ["server"]]);
        }
      }

      await fc.assert(fc.asyncProperty(fuzzRequests(["sandbox-demo-app:latest", NOWHERE]), probe), {
        numRuns: RUNS,
        seed: SEED,
        endOnFailure: true,
      });
      expect(snapshot(instance.folder)).toEqual(canaries);
      for (const [folder, allowed] of Object.entries(ALLOWED)) {
        for (const name of readdirSync(join(instance.folder, folder))) expect(name).toMatch(allowed);
      }
      expect(existsSync("/tmp/owned")).toBe(false);
      await instance.restartApi();
      const { body } = await platform.api.list();
      await Promise.all(body.map((environment) => platform.api.destroy(environment.id)));
      await waitUntil("no leftovers", async () => (await leftovers(instance)).length === 0, 30_000);
    }, 240_000);
  },
  ["process"],
);

/** Puts files where an escaping path would lead. */
function plantCanaries(folder: string): void {
  mkdirSync(join(folder, "etc"));
  for (const name of ["passwd", "etc/passwd", "env-a-1.json", "app.log", "x.conf"]) {
    writeFileSync(join(folder, name), "canary\n");
  }
}

/** The files of an instance's folder outside the platform's own three, with their times, sizes and texts. */
function snapshot(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (name) => !/^(?:envs|logs|conf\.d)(?:\/|$)/.test(name),
  );
  return entries.toSorted().map((name) => {
    const facts = statSync(join(folder, name));
    const text = facts.isFile() ? readFileSync(join(folder, name), "utf8") : "";
    return `${name} ${facts.mtimeMs} ${facts.size} ${text}`;
  });
}
