import type { Platform } from "./compose.ts";
import { resolveSpec } from "./domain/environment/spec.ts";
import { viewEnvironment } from "./domain/environment/view.ts";
import type { HttpDeps } from "./http/app.ts";
import { findEnvironment } from "./usecases/environments/find-environment.ts";
import type { PartHealth } from "./usecases/health/platform-health.ts";
import { readHealth } from "./usecases/health/read-health.ts";
import { followLogs, readLogs } from "./usecases/logs/read-logs.ts";

/** Binds the API to the use-cases. `loops` tells whether the loops are well. */
export function httpDeps(platform: Platform, loops: () => PartHealth): HttpDeps {
  const { settings, clock, tokens, environments, logs, events } = platform;
  const { logger, stopping, audit, tasks, destroy, extend, injectOutage, recover, halt } = platform;
  const shared = { logger, stopping, audit, tasks, destroy, extend, injectOutage, recover, halt };
  return {
    ...shared,
    now: () => clock.now(),
    identify: tokens === null ? null : (token) => tokens.identify(token),
    view: (record, now = clock.now()) => viewEnvironment(record, settings.publicAddress, now),
    getRecord: (id) => environments.get(id),
    archivedOwner: (id) => logs.archivedOwner(id),
    create: (body, key, owner) => platform.create(resolveSpec(body, settings), { key, owner, request: body }),
    list: () => environments.all(),
    find: (id) => findEnvironment(environments, id),
    readLogs: (id, query) => readLogs(platform, id, query),
    followLogs: (id, query, signal) => followLogs(platform, id, query, signal),
    platformHealth: () => platform.readPlatformHealth(loops()),
    environmentHealth: (id) => readHealth(platform, id),
    subscribe: (afterId, signal) => events.subscribe(afterId, signal),
  };
}
