import { fileOf, idOf } from "./conf-folder.ts";
import { VERSION_FILE, parseVersion, renderVersion, type VersionPorts } from "./config-version.ts";
import { parseServerBlock, renderServerBlock, type EdgeListener } from "./server-block.ts";

/**
 * Whether a file of the platform's holds just what the platform writes into it. It is known by its text alone, so
 * that also a platform that has only just been started can tell what somebody has spoilt meanwhile.
 */
export function isOwnText(file: string, text: string, door: EdgeListener, ports: VersionPorts): boolean {
  if (file === VERSION_FILE) {
    const version = parseVersion(text);
    return version !== null && renderVersion(version, door, ports) === text;
  }
  const route = parseServerBlock(text);
  if (route === null || fileOf(route.id) !== file || idOf(file) === null) return false;
  try {
    return renderServerBlock(route, door) === text;
  } catch {
    return false; // values that the platform would never have written
  }
}
