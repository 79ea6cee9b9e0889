import { environmentHost } from "../../domain/environment/view.ts";
import type { Observed, Placement } from "../../domain/plan/observed.ts";
import type { Plan, Step, StepKind } from "../../domain/plan/step.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { withFailpoint } from "../../kernel/failpoint.ts";
import { FAULTS } from "../../outages/registry.ts";
import type { Needs } from "../deps.ts";
import type { LogShippers } from "../logs/log-shippers.ts";
import { secretsOf, withoutSecrets } from "./secrets-of.ts";
import { shuttingDown } from "./shutting-down.ts";

type Adapters = Needs<"workloads" | "router" | "logs" | "secrets" | "environments">;
type StepExecutorDeps = Adapters &
  Needs<"settings" | "failpoint" | "shutdownDeadline" | "logger"> & { shippers: LogShippers };

export type StepExecutor = ReturnType<typeof createStepExecutor>;

/** Where the services of one plan are, as far as it is known by now. */
type Placements = Map<string, Placement>;
type StepOf<K extends StepKind> = Extract<Step, { kind: K }>;
type Executors = { [K in StepKind]: (step: StepOf<K>, placements: Placements) => Promise<unknown> };

/** The one place where a step becomes a call of an adapter. */
export function createStepExecutor(deps: StepExecutorDeps) {
  const { workloads, router, shippers, logs, secrets, environments, settings } = deps;
  const { publicAddress, stressImage } = settings;

  const executors: Executors = {
    "prepare-environment": ({ env, egress }) => workloads.prepare({ env, egress }),
    "place-service": placeService,
    "start-service": (ref) => workloads.start(ref),
    "unpause-service": (ref) => workloads.revert(ref, "pause"),
    "reconnect-service": (ref) => workloads.revert(ref, "disconnect"),
    "stop-stress": async (ref) => FAULTS.stress.stop?.({ workloads, ref, stressImage }),
    "upsert-route": ({ env, service, port }, placements) => {
      const placement = placements.get(service);
      if (placement === undefined) throw new PlatformError("conflict", `Cannot route "${env}": it is not placed yet.`);
      const host = environmentHost(env, publicAddress.baseDomain);
      return router.upsert({ id: env, host, address: placement.address, port: placement.port ?? port });
    },
    "enable-route": ({ env }) => router.enable(env),
    "start-shipper": ({ env, service }) => shippers.start(env, service),
    "stop-shippers": ({ env }) => shippers.stop(env),
    "remove-workloads": ({ env, requestsInFlight }) => workloads.remove(env, { requestsInFlight }),
    "remove-route": ({ env }) => router.remove(env),
    "archive-logs": ({ env, owner }) => logs.archive(env, owner),
    "discard-logs": ({ env }) => logs.discard(env),
    "remove-secrets": ({ env }) => secrets.remove(env),
    "remove-record": ({ env }) => environments.remove(env),
  };

  async function placeService(step: StepOf<"place-service">, placements: Placements): Promise<void> {
    const { env, service, egress } = step;
    const { name, image, port, command, resources } = service;
    const variables = { ...service.env, ...(await secretsOf(deps, env)), ENV_ID: env, PORT: String(port) };
    const spec = { env, service: name, image, variables, command, port, resources, egress };
    placements.set(name, await workloads.place(spec));
  }

  async function applyStages(plan: Plan, placements: Placements): Promise<void> {
    for (const stage of plan) {
      const results = await Promise.allSettled(
        stage.map((part) => (Array.isArray(part) ? applyStages(part, placements) : execute(part, placements))),
      );
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    }
  }

  async function execute(step: Step, placements: Placements): Promise<void> {
    if (deps.shutdownDeadline.aborted) throw shuttingDown(`go on with ${step.kind} of "${step.env}"`);
    const started = performance.now();
    const executor = executors[step.kind] as (step: Step, placements: Placements) => Promise<unknown>;
    try {
      await withFailpoint(deps.failpoint, step.kind, () => executor(step, placements));
    } catch (error) {
      throw await withoutSecrets(deps, step.env, error);
    }
    const ms = Math.round(performance.now() - started);
    deps.logger.debug({ step: step.kind, env_id: step.env, ms }, "step done");
  }

  return {
    /**
     * Applies a plan: stage after stage, the parts of a stage at once. Every part of a stage has ended when this returns
     * or throws, so that no step runs beside an undo. Throws the first failure of the first stage that has one, and
     * `shutting_down` for a step that the platform has no time left to begin. `observed` tells where services are that
     * the plan does not place.
     */
    async apply(plan: Plan, observed: Pick<Observed, "services"> = { services: {} }): Promise<void> {
      const found = Object.entries(observed.services).flatMap(([name, { placement }]) =>
        placement === null ? [] : [[name, placement] as const],
      );
      await applyStages(plan, new Map(found));
    },
  };
}
