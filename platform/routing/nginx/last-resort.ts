import { delay } from "../../kernel/delay.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { RunningNginx } from "./running-nginx.ts";

const POLL_MS = 50;

/** Told with the restart. */
const REASON =
  "Nginx did not take up a configuration that it accepts: most likely it was started with somebody's `listen`, and keeps that address until it ends";

/**
 * For an Nginx that accepts a configuration and yet goes on with the one it has. Once started with somebody's
 * `listen 80`, it holds every address, and a configuration without that cannot have the platform's own address beside
 * it: no reload helps any more. A restart does, and cuts every connection.
 */
export type LastResort = {
  /** A file of somebody else's went, and what Nginx opened for it may be in the way. */
  suspect(): void;
  /** Nginx took up what it was told. */
  noteTaken(): void;
  /**
   * Restarts the container where Nginx did not take up what it was told and there is somebody else's file to suspect,
   * or it is the second time in a row, since a slow machine may look the same once; and not again until it took up
   * something. Returns whether it was restarted and answers. Throws when it cannot be restarted.
   */
  restart(): Promise<boolean>;
};

type LastResortOptions = {
  nginx: Pick<RunningNginx, "ask">;
  restart: () => Promise<void>;
  timeoutMs: number;
  /** Once it aborts Nginx is not restarted, nor waited for, any more. */
  cutOff: AbortSignal | undefined;
  logger: Logger | undefined;
  /** Nginx's container was restarted, and why. */
  onRestarted: ((reason: string) => void) | undefined;
};

export function createLastResort({ nginx, timeoutMs, cutOff, ...options }: LastResortOptions): LastResort {
  let isSuspected = false;
  let isHopeless = false;
  let failures = 0;

  async function answers(): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (!(await nginx.ask()).answers) {
      if (performance.now() >= deadline) return false;
      await delay(POLL_MS, cutOff);
      cutOff?.throwIfAborted();
    }
    return true;
  }

  return {
    suspect() {
      isSuspected = true;
    },
    noteTaken() {
      isSuspected = isHopeless = false;
      failures = 0;
    },
    async restart() {
      cutOff?.throwIfAborted();
      failures++;
      if (isHopeless || (!isSuspected && failures < 2)) return false;
      isHopeless = true;
      await options.restart();
      options.logger?.warn({ reason: REASON }, "nginx restarted");
      options.onRestarted?.(REASON);
      return answers();
    },
  };
}
