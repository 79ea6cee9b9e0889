import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { apiClient } from "./api-client.ts";
import { expectStatus } from "./expect-status.ts";
import { makeToken } from "./make-token.ts";
import { createTestInstance, labelledObjects, type RunMode, type TestInstance } from "./test-instance.ts";

/** A running platform that a suite talks to. */
export type PlatformUnderTest = {
  readonly instance: TestInstance;
  readonly api: ReturnType<typeof apiClient>;
  /** Creates the demo app, which must be running, and returns what the API says of it. */
  createDemo(
    body?: Record<string, unknown>,
  ): Promise<Awaited<ReturnType<ReturnType<typeof apiClient>["create"]>>["body"]>;
};

/** For what waits for three failed checks: they and not the reconciler, which is once a year here, are to see it. */
export const SELDOM_RECONCILED = { RECONCILE_SCHEDULE: "0 0 0 1 1 *" };

export const hostOf = (id: string): string => `${id}.localhost`;

/**
 * Runs a suite against real platforms of its own: once with the API as a process, once in its container.
 * After each test its environments are destroyed; in the end nothing that carries the instance's label is left.
 */
export function describePlatform(
  title: string,
  settings: Record<string, string>,
  suite: (platform: PlatformUnderTest) => void,
  modes: RunMode[] = ["process", "container"],
  /** The API wants a token, and the suite's client has an admin's. For the API as a process. */
  { withTokens = false }: { withTokens?: boolean } = {},
): void {
  describe.each(modes)(`${title}, the API as a %s`, (mode) => {
    let instance: TestInstance | null = null;
    let token: string | undefined;
    const platform: PlatformUnderTest = {
      get instance() {
        if (instance === null) throw new Error("the instance is not up yet");
        return instance;
      },
      get api() {
        return apiClient(platform.instance, token);
      },
      async createDemo(body = {}) {
        return expectStatus(await platform.api.create({ name: "demo", ...body }), 201, { status: "running" }).body;
      },
    };

    beforeAll(async () => {
      instance = await createTestInstance(settings, mode);
      const tokensFile = join(instance.folder, "tokens.json");
      if (withTokens) token = await makeToken(tokensFile, "root", "admin");
      await instance.startApi(withTokens ? { API_TOKENS_FILE: tokensFile } : {});
    });

    afterEach(async () => {
      const { body } = await platform.api.list();
      await Promise.all(body.map(({ id }) => platform.api.destroy(id)));
    });

    afterAll(async () => {
      await instance?.remove();
      if (instance !== null) expect(await labelledObjects(instance.name)).toEqual([]);
    });

    suite(platform);
  });
}
