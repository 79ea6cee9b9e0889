import type { EnvironmentRecord } from "./record.ts";

const ADJECTIVES = [
  "amber",
  "brave",
  "calm",
  "dusty",
  "eager",
  "fuzzy",
  "gentle",
  "happy",
  "icy",
  "jolly",
  "keen",
  "lucky",
  "mellow",
  "nimble",
  "polite",
  "quiet",
  "rapid",
  "sunny",
  "tidy",
  "witty",
];
const ANIMALS = [
  "badger",
  "crane",
  "dolphin",
  "falcon",
  "gecko",
  "heron",
  "ibis",
  "jackal",
  "koala",
  "lemur",
  "marten",
  "newt",
  "otter",
  "panda",
  "quail",
  "raven",
  "seal",
  "tapir",
  "vole",
  "wombat",
];

/** A name for an environment nobody named, such as `happy-otter`. `random` gives numbers in [0, 1). */
export function inventName(random: () => number): string {
  return `${pick(ADJECTIVES, random)}-${pick(ANIMALS, random)}`;
}

function pick(words: string[], random: () => number): string {
  return words[Math.floor(random() * words.length)] ?? "sandbox";
}

/**
 * Names of an environment's Docker objects. The instance comes first so that the platform's own
 * network, named after the instance alone, sorts before every environment's: Docker keeps a
 * container's published ports on its alphabetically first network.
 */
export function networkName(instance: string, id: string): string {
  return `${instance}-${id}`;
}

/** The container of one of an environment's services. */
export function containerName(instance: string, id: string, service: string): string {
  return `${instance}-${id}-${service}`;
}

/** A network made ahead, before anybody knows whose it will be: named after its subnet (CIDR), since a name cannot be changed. */
export function preparedNetworkName(instance: string, subnet: string): string {
  return `${instance}-net-${subnet.replaceAll(/[./]/g, "-")}`;
}

/**
 * What in a record names an object that cannot be this environment's own, or null. A state file can be
 * edited; what it says must never lead the platform to stop or remove anything else.
 */
export function foreignName(record: EnvironmentRecord, instance: string): string | null {
  const { id, network, services } = record;
  const networks = [networkName(instance, id), preparedNetworkName(instance, network.subnet)];
  if (!networks.includes(network.name)) return network.name;
  return services.find(({ name, container }) => container !== containerName(instance, id, name))?.container ?? null;
}
