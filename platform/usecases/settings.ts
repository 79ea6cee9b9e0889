import type { Resources } from "../domain/environment/record.ts";
import type { PublicAddress } from "../domain/environment/view.ts";
import type { QuotaLimits } from "../domain/access/quota.ts";

/** What the use-cases need to know of the configuration. Times in seconds, sizes in bytes. */
export type Settings = {
  publicAddress: PublicAddress;
  defaultImage: string;
  stressImage: string;
  defaultPort: number;
  defaultTtl: number;
  maxTtl: number;
  createTimeout: number;
  defaultResources: Resources;
  quota: QuotaLimits;
  /** How many environments of the default image and of each of `warmImages` are kept ready. */
  warmPoolSize: number;
  warmImages: readonly string[];
  healthTimeout: number;
  healthConcurrency: number;
  /** Bytes that must be free for a new environment. */
  minFreeDisk: number;
  /** How long, and in how many bytes, the logs of destroyed environments are kept. */
  archiveMaxAge: number;
  archiveMaxSize: number;
};
