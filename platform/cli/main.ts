// The command line behind the Makefile: calls the API and prints for people. Parameters are environment
// variables (NAME, TTL, ENV, …), so that no shell interprets their values.
import { ApiError, UsageError } from "./api.ts";
import { create, destroy, destroyAll, extend, halt, simulate } from "./change.ts";
import { followLogs, health, list, status, waitUntilHealthy } from "./show.ts";
import { printable } from "./terminal.ts";

const commands: Record<string, () => Promise<void>> = {
  create,
  destroy,
  "destroy-all": destroyAll,
  extend,
  halt,
  health,
  list,
  logs: followLogs,
  simulate,
  status,
  wait: waitUntilHealthy,
};

const command = commands[process.argv[2] ?? ""];
if (command === undefined) {
  console.error(`Usage: scripts/cli.sh ${Object.keys(commands).join("|")}`);
  process.exit(2);
}

try {
  await command();
} catch (error) {
  if (error instanceof UsageError) {
    console.error(error.message);
    process.exitCode = 2;
  } else if (error instanceof ApiError) {
    console.error(printable(`Error: ${error.message}`));
    process.exitCode = 1;
  } else {
    throw error;
  }
}
