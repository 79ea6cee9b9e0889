/**
 * What the router asks of Nginx's container. Each call is bounded in time by its adapter, and rejects where the
 * container or its engine cannot be reached.
 */
export type NginxControl = {
  /** Runs `nginx -t`; `output` is what Nginx said. Rejects also where the test could not be run to its end. */
  test(): Promise<{ ok: boolean; output: string }>;
  /** Sends SIGHUP to the master process: Nginx reads its configuration anew. */
  reload(): Promise<void>;
  /** Kills and starts the container, which mounts the folder anew. Cuts every connection. */
  restart(): Promise<void>;
};
