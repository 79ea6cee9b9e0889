import { readFile } from "node:fs/promises";
import { docker } from "./docker.ts";

const ROOT = "/sys/fs/cgroup";

/** A process's place in the tree of groups that the kernel shares the processors out to, from the top. */
type ProcessorGroup = { mount: string; weightFile: string; path: string[] };

/** The group of a process of this machine, with version 1 or 2 of control groups. */
async function processorGroupOf(pid: number): Promise<ProcessorGroup> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, "utf8")).trim().split("\n");
  const groups = lines.map((line) => /^\d+:([^:]*):(.*)$/.exec(line)?.slice(1) ?? []);
  const places = (path = ""): string[] => path.split("/").filter(Boolean);
  const own = groups.find(([controllers]) => controllers?.split(",").includes("cpu"));
  if (own !== undefined) return { mount: `${ROOT}/cpu`, weightFile: "cpu.shares", path: places(own[1]) };
  const unified = groups.find(([controllers]) => controllers === "");
  return { mount: ROOT, weightFile: "cpu.weight", path: places(unified?.[1]) };
}

/** The engine's own group. */
export async function engineGroup(): Promise<ProcessorGroup> {
  return processorGroupOf(Number(await readFile("/run/docker.pid", "utf8")));
}

/** The group of a container's first process. */
export async function containerGroup(container: string): Promise<ProcessorGroup> {
  return processorGroupOf(Number(await docker("inspect", "-f", "{{.State.Pid}}", container)));
}

/**
 * What a group weighs against another, in weights of a group of the default, and whether it is itself what the kernel
 * compares: those who stand beside one another, on the level below the last group that the two share.
 */
export async function beside(
  group: ProcessorGroup,
  other: ProcessorGroup,
): Promise<{ weight: number; itself: boolean }> {
  const shared = group.path.findIndex((place, level) => other.path[level] !== place);
  if (shared === -1) throw new Error(`/${group.path.join("/")} is no neighbour of /${other.path.join("/")}`);
  const file = [group.mount, ...group.path.slice(0, shared + 1), group.weightFile].join("/");
  const weight = Number(await readFile(file, "utf8")) / (group.weightFile === "cpu.shares" ? 1024 : 100);
  return { weight, itself: group.path.length === shared + 1 };
}
