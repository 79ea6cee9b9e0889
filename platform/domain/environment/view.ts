import { primaryService, type EnvironmentRecord, type Outage, type Status } from "./record.ts";
import { remainingSeconds } from "./lifetime.ts";

/** An environment as the API shows it (product.md, "API contract"). */
export type EnvironmentView = {
  id: string;
  name: string;
  container: string;
  network: string;
  created_at: string;
  /** Seconds. */
  ttl: number;
  expires_at: string;
  /** Seconds, never negative. */
  ttl_remaining: number;
  status: Status;
  url: string;
  image: string;
  port: number;
  health_path: string;
  services: { name: string; container: string; image: string; port: number; health_path: string }[];
  egress: boolean;
  outage: Outage | null;
};

/** Where environments are found from outside. */
export type PublicAddress = { baseDomain: string; port: number };

/** The host name an environment answers to. */
export function environmentHost(id: string, baseDomain: string): string {
  return `${id}.${baseDomain}`;
}

/** The URL an environment answers at; port 80 is left out. */
export function environmentUrl(id: string, door: PublicAddress): string {
  return `http://${environmentHost(id, door.baseDomain)}${door.port === 80 ? "" : `:${door.port}`}`;
}

/** What callers see of a record. Environment variables stay inside: they may hold what others should not read. */
export function viewEnvironment(record: EnvironmentRecord, door: PublicAddress, now: number): EnvironmentView {
  const { container, image, port, health_path } = primaryService(record);
  return {
    id: record.id,
    name: record.name,
    container,
    network: record.network,
    created_at: record.created_at,
    ttl: record.ttl,
    expires_at: record.expires_at,
    ttl_remaining: remainingSeconds(record, now),
    status: record.status,
    url: environmentUrl(record.id, door),
    image,
    port,
    health_path,
    services: record.services.map((service) => ({
      name: service.name,
      container: service.container,
      image: service.image,
      port: service.port,
      health_path: service.health_path,
    })),
    egress: record.egress,
    outage: record.outage,
  };
}
