import type { Fields } from "./allowed-bodies.ts";
import { isName, type Asked } from "./allowed-calls.ts";
import { askEngine, type Answer } from "./ask-engine.ts";
import type { Labels } from "./ownership.ts";

/** An object as the engine describes it. */
export type FoundObject = { id: string; labels: Labels; answer: Answer };

/** The objects that a call names; undefined where it names none. */
export type Found = { container?: FoundObject | undefined; network?: FoundObject | undefined };

/**
 * Asks the engine about the objects that a call names; `absent` is what it says where it does not know one. A network
 * that is gone may still be what a container waits for at its start: then that container is what is found.
 */
export async function lookUp(
  socketPath: string,
  { call, version, name }: Asked,
  body: Fields,
): Promise<Found | { absent: Answer }> {
  const isConnection = call === "POST /networks/{name}/connect";
  // Whoever is on a network of ours may be put off it, so that it can be removed.
  const containerName = isConnection ? String(body["Container"]) : call.includes("/containers/{name}") ? name : null;
  const networkName = call.includes("/networks/{name}") ? name : null;
  const [container, network] = await Promise.all([
    containerName === null ? undefined : ask(socketPath, `${version}/containers/${containerName}/json`),
    networkName === null ? undefined : ask(socketPath, `${version}/networks/${networkName}`),
  ]);
  const absent = [container, network].find((answer) => answer !== undefined && answer.status !== 200);
  const waits = body["Container"];
  if (absent?.status === 404 && call === "POST /networks/{name}/disconnect" && isName(waits)) {
    const waiting = await ask(socketPath, `${version}/containers/${waits}/json`);
    return waiting.status === 200 ? { container: describe(waiting) } : { absent: waiting };
  }
  if (absent !== undefined) return { absent };
  return { container: container && describe(container), network: network && describe(network) };
}

function ask(socketPath: string, path: string): Promise<Answer> {
  return askEngine(socketPath, { method: "GET", path, body: null });
}

/** Throws on an answer that is not understood: nothing goes on without labels that were read. */
function describe(answer: Answer): FoundObject {
  const { Id, Config, Labels } = JSON.parse(answer.text) as {
    Id?: string;
    Config?: { Labels?: Labels };
    Labels?: Labels;
  };
  if (typeof Id !== "string" || !/^[0-9a-z]{12,64}$/.test(Id)) throw new Error("it describes an object without an id");
  return { id: Id, labels: (Config === undefined ? Labels : Config.Labels) ?? {}, answer };
}
