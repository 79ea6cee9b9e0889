import { describeEventLogContract } from "../contracts/event-log-contract.ts";
import { createFakeEventLog } from "./fake-event-log.ts";

describeEventLogContract("fake", async () => createFakeEventLog());
