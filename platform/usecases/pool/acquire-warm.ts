import { primaryService, type EnvironmentRecord, type Resources } from "../../domain/environment/record.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import { describeError } from "../../kernel/errors.ts";
import { planUp, type Observed } from "../../domain/plan/plan.ts";
import { admit } from "../environments/admit.ts";
import { applySteps } from "../environments/apply-steps.ts";
import { noteCheck } from "../health/check-health.ts";
import type { Context, Spare } from "../context.ts";
import { lease, type CreateRequest } from "../environments/draft-record.ts";
import { discardSpare } from "./warm-pool.ts";
import { rollBack } from "../environments/roll-back.ts";

/** How long one that was well when it was made may take to say that it still is. */
const PROBE_LIMIT_MS = 1_000;

/**
 * Gives away an environment that was made ahead, where one fits the request: its lifetime begins, its state file
 * is written, its route opens. Null when none does, and where the front door fails. One that does not answer any more is
 * thrown away.
 */
export async function claimSpare(
  context: Context,
  request: CreateRequest,
  { image, imageId }: { image: string; imageId: string },
  given: Pick<EnvironmentRecord, "owner" | "idempotency"> & { resources: Resources },
): Promise<EnvironmentRecord | null> {
  if (!asksForNothingElse(request)) return null;
  for (;;) {
    const spare = context.ahead.spares.find(
      ({ state, record, imageId: made }) =>
        state === "ready" && primaryService(record).image === image && made === imageId,
    );
    if (spare === undefined) return null;
    const { owner, idempotency } = given;
    const leased = admit(
      context,
      given,
      (): EnvironmentRecord => ({
        ...spare.record,
        ...lease(context, request.ttl),
        owner,
        idempotency,
        status: "running",
      }),
    );
    // Nothing is awaited since it was found: it is nobody else's.
    spare.state = "leaving";
    const outcome = await context.locks
      .run(leased.id, () => handOver(context, spare, leased))
      .finally(() => {
        context.ongoing.admitted.delete(leased.id);
      });
    if (outcome === "given") return leased;
    if (outcome === "front door fails") return null;
  }
}

/** A name becomes part of the id, and everything else part of the container: only what a lease is made of may be chosen. */
function asksForNothingElse({ ttl: _ttl, image: _image, ...rest }: CreateRequest): boolean {
  return Object.values(rest).every((value) => value === undefined);
}

/** What became of a spare: somebody's; thrown away, since it does not answer; or ready again, since it was not its fault. */
type Outcome = "given" | "discarded" | "front door fails";

async function handOver(context: Context, spare: Spare, record: EnvironmentRecord): Promise<Outcome> {
  const { ahead, clock, environments, events, logger, probe, settings } = context;
  const timestamp = clock.timestamp();
  const { health_path: path, image, container } = primaryService(record);
  const host = environmentHost(record.id, settings.publicAddress.baseDomain);
  const result = await probe.check({ host, path, timeoutMs: PROBE_LIMIT_MS });
  if (result.fault === "ingress") {
    // Nothing was learned of the environment, and the others would seem as dead: creating one anew says what is wrong.
    spare.state = "ready";
    return "front door fails";
  }
  if (!result.ok) {
    logger.warn(
      { env_id: record.id, reason: result.error },
      "an environment made ahead does not answer; making another",
    );
    await discardSpare(context, spare);
    return "discarded";
  }
  try {
    await environments.save(record);
    ahead.spares.splice(ahead.spares.indexOf(spare), 1);
    events.emit({ type: "environment.creating", env_id: record.id, data: { name: record.name, image } });
    const missing: Observed = {
      network: true,
      ingressConnected: true,
      routed: true,
      open: false,
      containers: { [container]: { state: "running", connected: true } },
      shipping: [],
    };
    await applySteps(planUp(record, missing, clock.now()), context);
  } catch (error) {
    ahead.spares = ahead.spares.filter((other) => other !== spare);
    const data = { reason: describeError(error) };
    events.emit({ type: "environment.failed", env_id: record.id, owner: record.owner, data });
    await rollBack(context, record, "a failed environment");
    throw error;
  }
  await noteCheck(context, record.id, timestamp, result);
  events.emit({ type: "environment.running", env_id: record.id });
  return "given";
}
