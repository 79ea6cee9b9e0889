import type { Context } from "../context.ts";

type Owners = Pick<Context, "environments" | "ongoing" | "ahead">;

/** Whether something of that environment may be on the machine now: it has a record, is about to get one, or was made ahead. */
export function isKnown({ environments, ongoing, ahead }: Owners, id: string): boolean {
  return (
    environments.get(id) !== null || ongoing.admitted.has(id) || ahead.spares.some(({ record }) => record.id === id)
  );
}

/** Whether that network is somebody's, or kept ready. One that was made ahead bears no environment's label. */
export function isNetworkInUse(owners: Owners, name: string): boolean {
  return networksInUse(owners).has(name);
}

/** The names of all networks that are somebody's, or kept ready. */
export function networksInUse({ environments, ongoing, ahead }: Owners): ReadonlySet<string> {
  const records = [...environments.all(), ...ongoing.admitted.values(), ...ahead.spares.map(({ record }) => record)];
  return new Set([
    ...records.map(({ network }) => network.name),
    ...ahead.networks.map(({ name }) => name),
    ...ahead.changing,
  ]);
}
