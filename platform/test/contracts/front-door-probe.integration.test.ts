import { createEdgeProbe } from "../../probes/edge-probe.ts";
import { startNginxContainer } from "../support/nginx-container.ts";
import { describeProbeContract } from "./probe-contract.ts";

describeProbeContract("the front door", async () => {
  const nginx = await startNginxContainer();
  const router = nginx.makeRouter();
  const unused = await nginx.listen(() => undefined);
  await new Promise((done) => unused.server.close(done));
  let counter = 0;

  return {
    probe: createEdgeProbe({ internalUrl: nginx.internalUrl }),
    async serve(behaviour) {
      const id = `env-probe-${++counter}`;
      const host = `${id}.localhost`;
      const port = behaviour === "unreachable" ? unused.port : (await nginx.listen(answering(behaviour))).port;
      await router.upsert({ id, host, address: nginx.gateway, port });
      return host;
    },
    stop: nginx.stop,
    start: nginx.start,
    dispose: nginx.dispose,
  };
});

function answering(
  behaviour: { status: number } | "hangs",
): Parameters<Awaited<ReturnType<typeof startNginxContainer>>["listen"]>[0] {
  if (behaviour === "hangs") return () => undefined;
  return (_, response) => response.writeHead(behaviour.status).end();
}
