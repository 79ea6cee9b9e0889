import { docker } from "../platform/test/support/docker.ts";

/** Options of `docker run` with which a container has the place and the weight among the machine's groups that another one has. */
export async function groupOptionsLike(container: string): Promise<string[]> {
  const format = "{{.HostConfig.CpuShares}} {{.HostConfig.CgroupParent}}";
  const [shares = "0", parent = ""] = (await docker("inspect", "-f", format, container)).split(" ");
  return ["--cpu-shares", shares, ...(parent === "" ? [] : ["--cgroup-parent", parent])];
}
