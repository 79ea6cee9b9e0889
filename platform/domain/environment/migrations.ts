/** Turns a record of one version into the next version's shape; the caller raises `version` itself. */
export type Migration = (record: Record<string, unknown>) => Record<string, unknown>;

/** Migrations by the version they start from. A version without an entry cannot be read any more. */
export const MIGRATIONS: Readonly<Record<number, Migration>> = { 1: dropAddresses };

/** Version 2 holds no addresses: where a service is placed is observed. Of the network only the name is left. */
function dropAddresses(record: Record<string, unknown>): Record<string, unknown> {
  const network = record["network"] as { name?: unknown } | undefined;
  const services = Array.isArray(record["services"]) ? record["services"] : [];
  return {
    ...record,
    network: network?.name,
    services: services.map((service: Record<string, unknown>) => {
      const { address: _, ...kept } = service;
      return kept;
    }),
  };
}
