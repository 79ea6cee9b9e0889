import type { NetworkRecord } from "../../domain/environment/record.ts";
import { isPlatformError, PlatformError, type ErrorCode } from "../../kernel/errors.ts";
import { environmentLabels, preparedNetworkLabels } from "../../domain/environment/labels.ts";
import { preparedNetworkName } from "../../domain/environment/names.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import type { Plan, Step, StepKind } from "../../domain/plan/step.ts";
import { FAULTS } from "../../outages/registry.ts";
import { withFailpoint } from "../../kernel/failpoint.ts";
import type { Context } from "../context.ts";
import { secretsOf, withoutSecrets } from "./secrets-of.ts";
import { shuttingDown } from "./shutting-down.ts";

type Executors = { [K in StepKind]: (step: Extract<Step, { kind: K }>, context: Context) => Promise<unknown> };

/** The one place where a step becomes a call of an adapter. */
const EXECUTORS: Executors = {
  "create-network": ({ env, network, egress }, { engine, settings }) =>
    engine.networks.create({
      name: network.name,
      subnet: network.subnet,
      gateway: network.gateway,
      labels: networkLabels(settings.instance, env, network),
      internal: !egress,
    }),
  "connect-ingress": connectIngress,
  "create-container": createContainer,
  "connect-container": ({ network, service }, { engine }) =>
    engine.networks.connect(network, service.container, service.address, [service.name]),
  "start-container": ({ container }, { engine }) => engine.containers.start(container),
  "unpause-container": ({ container }, { engine }) => engine.containers.unpause(container),
  "stop-stress": ({ container }, { engine, settings }) =>
    FAULTS.stress.stop?.({ engine, container, network: "", stressImage: settings.stressImage }) ?? Promise.resolve(),
  "upsert-route": ({ env, address, port }, { router, settings }) =>
    router.upsert({ id: env, host: environmentHost(env, settings.publicAddress.baseDomain), address, port }),
  "enable-route": ({ env }, { router }) => router.enable(env),
  "start-shipper": ({ env, service, container }, { shippers }) => shippers.start(env, service, container),
  "stop-shippers": ({ env }, { shippers }) => shippers.stop(env),
  "kill-container": ({ container }, { engine }) =>
    unless(["protected_target", "conflict"], engine.containers.killProcesses(container)),
  "remove-container": ({ container }, { engine }) => unless(["protected_target"], engine.containers.remove(container)),
  "disconnect-ingress": ({ network }, { engine, settings }) =>
    unless(["protected_target"], engine.networks.disconnect(network, settings.nginxContainer)),
  "remove-network": ({ network }, { engine }) => unless(["protected_target"], engine.networks.remove(network)),
  "remove-route": ({ env }, { router }) => router.remove(env),
  "archive-logs": ({ env, owner }, { logs }) => logs.archive(env, owner),
  "discard-logs": ({ env }, { logs }) => logs.discard(env),
  "remove-secrets": ({ env }, { secrets }) => secrets.remove(env),
  "remove-record": ({ env }, { environments }) => environments.remove(env),
};

/** One that was made ahead has no environment's label, also when it must be made anew. */
function networkLabels(instance: string, env: string, network: NetworkRecord): Record<string, string> {
  const isPrepared = network.name === preparedNetworkName(instance, network.subnet);
  return isPrepared ? preparedNetworkLabels(instance) : environmentLabels(instance, env, "network");
}

/** Where it is gone (`conflict`), or somebody else's object has taken its name, there is nothing left of ours to take down. */
async function unless(codes: ErrorCode[], removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!codes.some((code) => isPlatformError(error, code))) throw error;
  }
}

/** Every kind of step there is. */
export const STEP_KINDS = Object.keys(EXECUTORS) as StepKind[];

async function createContainer(
  { env, network, service, egress }: Extract<Step, { kind: "create-container" }>,
  context: Context,
): Promise<void> {
  const { engine, settings } = context;
  const secrets = await secretsOf(context, env);
  await engine.containers.create({
    name: service.container,
    image: service.image,
    labels: environmentLabels(settings.instance, env, "app", service.name),
    env: { ...service.env, ...secrets, ENV_ID: env, PORT: String(service.port) },
    command: service.command,
    network,
    address: service.address,
    aliases: [service.name],
    resources: service.resources,
    internal: !egress,
  });
}

/** An Nginx container that is not there is the platform's trouble, not a conflict with what the caller asked for. */
async function connectIngress({ network }: { network: NetworkRecord }, { engine, settings }: Context): Promise<void> {
  try {
    await engine.networks.connect(network.name, settings.nginxContainer, network.ingress_address);
  } catch (error) {
    if (!isPlatformError(error, "conflict")) throw error;
    throw new PlatformError(
      "ingress_unavailable",
      "Cannot reach Nginx: its container is not there. Start it with `make up`.",
      {
        cause: error,
      },
    );
  }
}

/**
 * Applies a plan: stage after stage, the parts of a stage at once. Every part of a stage has ended
 * when this returns or throws, so that whoever undoes the plan has no step running beside it.
 * Throws the first failure of the first stage that has one; `shutting_down` for what has not begun when a platform
 * that stops has no time left.
 */
export async function applySteps(plan: Plan, context: Context): Promise<void> {
  for (const stage of plan) {
    const results = await Promise.allSettled(
      stage.map((part) => (Array.isArray(part) ? applySteps(part, context) : execute(part, context))),
    );
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

async function execute<K extends StepKind>(step: Extract<Step, { kind: K }>, context: Context): Promise<void> {
  // What is on record is finished or undone by the next start, as after a kill.
  if (context.shutdownDeadline.aborted) throw shuttingDown(`go on with ${step.kind} of "${step.env}"`);
  const started = performance.now();
  const executor = EXECUTORS[step.kind] as (step: Step, context: Context) => Promise<unknown>;
  try {
    await withFailpoint(context.failpoint, step.kind, () => executor(step, context));
  } catch (error) {
    throw await withoutSecrets(context, step.env, error);
  }
  const ms = Math.round(performance.now() - started);
  context.logger.debug({ step: step.kind, env_id: step.env, ms }, "step done");
}
