import { fileOf, idOf } from "./conf-folder.ts";
import { GENERATION_FILE, parseGeneration, renderGeneration, type GenerationPorts } from "./config-version.ts";
import { parseServerBlock, renderServerBlock, type FrontDoor } from "./server-block.ts";

/**
 * Whether a file of the platform's holds just what the platform writes into it. It is known by its text alone, so
 * that also a platform that has only just been started can tell what somebody has spoilt meanwhile.
 */
export function isOwnText(file: string, text: string, door: FrontDoor, ports: GenerationPorts): boolean {
  if (file === GENERATION_FILE) {
    const generation = parseGeneration(text);
    return generation !== null && renderGeneration(generation, door, ports) === text;
  }
  const route = parseServerBlock(text);
  if (route === null || fileOf(route.id) !== file || idOf(file) === null) return false;
  try {
    return renderServerBlock(route, door) === text;
  } catch {
    return false; // values that the platform would never have written
  }
}
