import type { OutageMode } from "../domain/environment/record.ts";
import { crash } from "./crash.ts";
import type { Fault } from "./fault.ts";
import { network } from "./network.ts";
import { pause } from "./pause.ts";
import { stress } from "./stress.ts";

/** Every fault, by its mode. A mode without a fault does not compile. */
export const FAULTS: Record<OutageMode, Fault> = { crash, pause, network, stress };
