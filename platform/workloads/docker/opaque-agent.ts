import { Agent } from "node:http";
import { inspect } from "node:util";

/**
 * A connection for each request, and nothing to say of itself. docker-modem describes the options of every request for
 * its debug log, the agent with all its sockets to any depth, also when nobody reads it (modem.js, "Sending"): with the
 * log streams of 80 environments that was three quarters of all the work the platform did.
 */
export class QuietAgent extends Agent {
  constructor() {
    super({ keepAlive: false });
  }

  [inspect.custom](): string {
    return "Agent";
  }
}
