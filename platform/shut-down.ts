import type { Server } from "node:http";
import { stopServer } from "./http/server.ts";
import type { Scheduler } from "./loops/scheduler.ts";
import type { ExclusiveLock } from "./host/instance-lock.ts";
import type { Context } from "./usecases/context.ts";

export type Running = { context: Context; server: Server; loops: Pick<Scheduler, "stop">; claim: ExclusiveLock };

/**
 * Ends a platform in order, `context.stopping` having aborted: first whatever could begin something new, then what has
 * begun, whether or not anybody waits for it, and only then what all of it writes to.
 */
export async function shutDown({ context, server, loops, claim }: Running): Promise<void> {
  const { ahead, audit, events, locks, logs, shippers, tasks } = context;
  await Promise.all([stopServer(server), loops.stop()]);
  await tasks.whenIdle();
  await ahead.filling;
  await locks.whenIdle();
  await shippers.stopAll();
  await logs.close();
  await events.close();
  await audit.close();
  await claim.release();
}
