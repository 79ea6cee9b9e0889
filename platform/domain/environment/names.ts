const ADJECTIVES =
  "amber brave calm dusty eager fuzzy gentle happy icy jolly " +
  "keen lucky mellow nimble polite quiet rapid sunny tidy witty";
const ANIMALS =
  "badger crane dolphin falcon gecko heron ibis jackal koala lemur " +
  "marten newt otter panda quail raven seal tapir vole wombat";

/** A name for an environment that was created without one, such as `happy-otter`. `random` gives numbers in [0, 1). */
export function inventName(random: () => number): string {
  return `${pick(ADJECTIVES, random)}-${pick(ANIMALS, random)}`;
}

function pick(list: string, random: () => number): string {
  const words = list.split(" ");
  return words[Math.floor(random() * words.length)] ?? "sandbox";
}
