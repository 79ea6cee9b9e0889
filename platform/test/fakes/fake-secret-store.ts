import { assertEnvironmentId } from "../../store/files/assert-id.ts";
import type { SecretStore } from "../../store/secrets/secret-store.ts";
import { createWriteFailures, type WriteFailures } from "./write-failures.ts";

/** A SecretStore without a disk. */
export function createFakeSecretStore(): SecretStore & WriteFailures {
  const saved = new Map<string, Record<string, string>>();
  const { attempt, failNextWrites } = createWriteFailures();
  return {
    failNextWrites,
    async save(id, secrets) {
      assertEnvironmentId(id, "keep secrets of");
      await attempt();
      saved.set(id, { ...secrets });
    },
    async read(id) {
      assertEnvironmentId(id, "keep secrets of");
      const secrets = saved.get(id);
      return secrets === undefined ? null : { ...secrets };
    },
    async remove(id) {
      assertEnvironmentId(id, "keep secrets of");
      await attempt();
      saved.delete(id);
    },
    list: async () => [...saved.keys()],
  };
}
