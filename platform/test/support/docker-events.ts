import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** One line of `docker events`, as Docker itself reports it. */
export type RawEvent = { type: string; action: string; name: string; container: string };

/** Records Docker's events from now until it is stopped, parsed and as they came, with Docker's own client. */
export async function recordDockerEvents(): Promise<{ events: RawEvent[]; lines: string[]; stop(): Promise<void> }> {
  const [events, lines]: [RawEvent[], string[]] = [[], []];
  const child = spawn(
    "docker",
    ["events", "--since", String(Math.floor(Date.now() / 1000)), "--format", "{{json .}}"],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
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
    lines,
    async stop() {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      await ended;
    },
  };
}
