import type { Fields } from "./allowed-bodies.ts";
import { isName, type ParsedCall } from "./allowed-calls.ts";
import { callEngine, type Answer } from "./engine-client.ts";
import type { Labels } from "./ownership.ts";

/** A container or network as the engine describes it. */
type Target = { id: string; labels: Labels; answer: Answer };

/** The objects that a call names; undefined where it names none. */
export type Targets = { container?: Target | undefined; network?: Target | undefined };

/**
 * Inspects the objects that a call names. `absent` is the engine's answer when it does not know one of them. A
 * container may wait at its start for a network that is gone: a disconnect from that network has only the container.
 */
export async function inspectTargets(
  socketPath: string,
  { call, version, name }: ParsedCall,
  body: Fields,
): Promise<Targets | { absent: Answer }> {
  const isConnection = call === "POST /networks/{name}/connect";
  // A disconnect does not need the container: any may be taken off a network of ours, so that it can be removed.
  const containerName = isConnection ? String(body["Container"]) : call.includes("/containers/{name}") ? name : null;
  const networkName = call.includes("/networks/{name}") ? name : null;
  const [container, network] = await Promise.all([
    containerName === null ? undefined : inspect(socketPath, `${version}/containers/${containerName}/json`),
    networkName === null ? undefined : inspect(socketPath, `${version}/networks/${networkName}`),
  ]);
  const absent = [container, network].find((answer) => answer !== undefined && answer.status !== 200);
  const waitingName = body["Container"];
  if (absent?.status === 404 && call === "POST /networks/{name}/disconnect" && isName(waitingName)) {
    const waiting = await inspect(socketPath, `${version}/containers/${waitingName}/json`);
    return waiting.status === 200 ? { container: parse(waiting) } : { absent: waiting };
  }
  if (absent !== undefined) return { absent };
  return { container: container && parse(container), network: network && parse(network) };
}

function inspect(socketPath: string, path: string): Promise<Answer> {
  return callEngine(socketPath, { method: "GET", path, body: null });
}

/** Throws on an answer without an id: no call goes on without labels that were read. */
function parse(answer: Answer): Target {
  const { Id, Config, Labels } = JSON.parse(answer.text) as {
    Id?: string;
    Config?: { Labels?: Labels };
    Labels?: Labels;
  };
  if (typeof Id !== "string" || !/^[0-9a-z]{12,64}$/.test(Id)) throw new Error("it describes an object without an id");
  return { id: Id, labels: (Config === undefined ? Labels : Config.Labels) ?? {}, answer };
}
