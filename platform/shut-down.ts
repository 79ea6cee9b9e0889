import type { Server } from "node:http";
import type { Platform } from "./compose.ts";
import type { ExclusiveLock } from "./host/instance-lock.ts";
import { stopServer } from "./http/server.ts";
import type { Scheduler } from "./loops/scheduler.ts";

type Parts = Pick<Platform, "pool" | "networkPool" | "audit" | "events" | "locks" | "logs" | "shippers" | "tasks">;
export type Running = { platform: Parts; server: Server; loops: Pick<Scheduler, "stop">; claim: ExclusiveLock };

/**
 * Ends a platform in order, once `stopping` has aborted: first the parts that could begin something new, then the
 * operations in progress, whether or not a caller waits for them, and only then the files that all of them write to.
 */
export async function shutDown({ platform, server, loops, claim }: Running): Promise<void> {
  const { pool, networkPool, audit, events, locks, logs, shippers, tasks } = platform;
  await Promise.all([stopServer(server), loops.stop()]);
  await tasks.whenIdle();
  await pool.whenIdle();
  await networkPool.whenIdle();
  await locks.whenIdle();
  await shippers.stopAll();
  await logs.close();
  await events.close();
  await audit.close();
  await claim.release();
}
