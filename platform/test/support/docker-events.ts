import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** One line of `docker events`, as Docker itself reports it. */
export type RawEvent = { type: string; action: string; name: string; container: string };

/** Records what Docker reports until it is stopped, with the engine's own client: nothing of ours in between. */
export async function recordDockerEvents(): Promise<{ events: RawEvent[]; stop(): Promise<void> }> {
  const events: RawEvent[] = [];
  const child = spawn(
    "docker",
    ["events", "--since", String(Math.floor(Date.now() / 1000)), "--format", "{{json .}}"],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { Type, Action, Actor } = JSON.parse(line) as {
      Type: string;
      Action: string;
      Actor: { Attributes: Record<string, string> };
    };
    events.push({
      type: Type,
      action: Action,
      name: Actor.Attributes["name"] ?? "",
      container: Actor.Attributes["container"] ?? "",
    });
  });
  return {
    events,
    async stop() {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      await ended;
    },
  };
}
