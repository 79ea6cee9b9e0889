import { execFile } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { randomInt } from "node:crypto";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");
const CHUNK = Buffer.alloc(4096);

/** A file system of a few megabytes inside the project, so that a test can fill it. */
export type SmallDisk = {
  folder: string;
  /** The settings that put a platform's folders there. */
  variables: Record<string, string>;
  freeBytes(): number;
  /** Leaves `leave` bytes free, 0 by default. */
  fill(leave?: number): void;
  /** Frees all that `fill` took. */
  empty(): void;
  remove(): Promise<void>;
};

export async function mountSmallDisk(megabytes: number): Promise<SmallDisk> {
  const place = `./.cache/test/disk-${process.pid}-${randomInt(1e6)}`;
  const folder = join(ROOT, place);
  await mkdir(folder, { recursive: true });
  await run("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder]);
  for (const part of ["envs", "logs", "conf.d"]) mkdirSync(join(folder, part));
  const ballast = join(folder, "ballast");
  const disk: SmallDisk = {
    folder,
    variables: { ENVS_DIR: `${place}/envs`, LOGS_DIR: `${place}/logs`, NGINX_CONF_DIR: `${place}/conf.d` },
    freeBytes() {
      const { bavail, bsize } = statfsSync(folder);
      return bavail * bsize;
    },
    fill(leave = 0) {
      const file = openSync(ballast, "a");
      try {
        // Measured once: bytes that the platform frees meanwhile stay free.
        const room = leave === 0 ? Infinity : disk.freeBytes() - leave;
        for (let left = room; left > 0; left -= CHUNK.length) writeSync(file, CHUNK);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(file);
      }
    },
    empty: () => rmSync(ballast, { force: true }),
    async remove() {
      // Lazily, since a container may still hold the mount.
      await run("umount", ["-l", folder]).catch(() => {});
      await rm(folder, { recursive: true, force: true });
    },
  };
  return disk;
}
