import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import type { Role } from "../../domain/access/caller.ts";
import { apiClient } from "./api-client.ts";
import { expectStatus } from "./expect-status.ts";
import { createTestInstance, labelledObjects, type RunMode, type TestInstance } from "./test-instance.ts";

type Client = ReturnType<typeof apiClient>;

/** A running platform that a suite talks to. */
export type PlatformUnderTest = {
  readonly instance: TestInstance;
  /** A client with root's token where the API asks for tokens. */
  readonly api: Client;
  /** A client with another caller's token. */
  as(caller: string): Client;
  /** Creates the demo app, which must be running, and returns its environment. */
  createDemo(body?: Record<string, unknown>): Promise<Awaited<ReturnType<Client["create"]>>["body"]>;
};

/** With tokens one of the callers is `root`, an admin. */
type Options = { mode?: RunMode; callers?: Record<string, Role> };

/** For tests about three failed checks: the reconciler, once a year, repairs nothing before them. */
export const SELDOM_RECONCILED = { RECONCILE_SCHEDULE: "0 0 0 1 1 *" };

export const hostOf = (id: string): string => `${id}.localhost`;

/** Gives a suite a real platform of its own, started before its tests and removed after them without a trace. */
export function usePlatform(
  settings: Record<string, string> | (() => Promise<Record<string, string>>),
  { mode = "process", callers = {} }: Options = {},
): PlatformUnderTest {
  let instance: TestInstance | null = null;
  const platform: PlatformUnderTest = {
    get instance() {
      if (instance === null) throw new Error("the instance is not up yet");
      return instance;
    },
    get api() {
      return platform.as("root");
    },
    as: (caller) => apiClient(platform.instance, platform.instance.tokens[caller]),
    async createDemo(body = {}) {
      return expectStatus(await platform.api.create({ name: "demo", ...body }), 201, { status: "running" }).body;
    },
  };

  beforeAll(async () => {
    instance = await createTestInstance(typeof settings === "function" ? await settings() : settings, mode, callers);
    await instance.startApi();
  });

  afterAll(async () => {
    await instance?.remove();
    if (instance !== null) expect(await labelledObjects(instance.name)).toEqual([]);
  });

  return platform;
}

/** Runs a suite on a real platform of its own in each mode. After each test its environments are destroyed. */
export function describePlatform(
  title: string,
  settings: Record<string, string>,
  suite: (platform: PlatformUnderTest, mode: RunMode) => void,
  modes: RunMode[] = ["process", "container"],
  callers: Record<string, Role> = {},
): void {
  const titles = modes.map((mode) => [modes.length > 1 ? `${title}, the API as a ${mode}` : title, mode] as const);
  describe.each(titles)("%s", (_, mode) => {
    const platform = usePlatform(settings, { mode, callers });
    afterEach(async () => {
      const { body } = await platform.api.list();
      await Promise.all(body.map(({ id }) => platform.api.destroy(id)));
    });
    suite(platform, mode);
  });
}
