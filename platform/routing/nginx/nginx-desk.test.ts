import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createNginxDesk, readAnswer, type NginxDesk } from "./nginx-desk.ts";

const DESK = resolve(import.meta.dirname, "../../../nginx/desk.sh");
const never = new AbortController().signal;

/** Nginx's own process: leaves a file when it is told to reload. */
const MASTER = 'trap "touch reloaded" HUP; touch ready; while :; do sleep 0.02; done';

type DeskUnderTest = {
  desk: NginxDesk;
  /** What it shares with the API. */
  folder: string;
  /** Starts it. */
  open(): Promise<ChildProcess>;
  has(file: string): boolean;
  put(file: string): Promise<void>;
};

/** The real desk beside a process that stands for Nginx, and a command `nginx` that does as `script` says. */
async function startDesk(script: string): Promise<DeskUnderTest> {
  const place = await temporaryFolder();
  const folder = join(place, "shared");
  await mkdir(folder);
  await writeFile(join(place, "nginx"), `#!/bin/sh\n${script}\n`);
  await chmod(join(place, "nginx"), 0o755);
  const run = (command: string, ...args: string[]): ChildProcess => {
    const env = { ...process.env, PATH: `${place}:${process.env["PATH"]}` };
    const child = spawn(command, args, { cwd: place, env, stdio: "ignore", detached: true });
    onTestFinished(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      process.kill(-(child.pid ?? 0), "SIGKILL");
      await once(child, "exit");
    });
    return child;
  };
  const has = (file: string) => existsSync(join(place, file));
  const master = run("sh", "-c", MASTER);
  await waitUntil("Nginx", () => has("ready"));
  const open = async () => {
    const child = run("sh", DESK, folder, String(master.pid));
    await waitUntil("the desk to open its pipes", () => existsSync(`/proc/${child.pid}/fd/4`));
    return child;
  };
  return { desk: createNginxDesk(folder), folder, open, has, put: (file) => writeFile(join(place, file), "") };
}

test("a test's exit code, and what it says on either stream, come from inside", async () => {
  const { desk, open } = await startDesk('echo "asked for $*"; echo "nginx: [emerg] wrong" >&2; exit 1');
  await open();
  expect(await desk.ask("test", never)).toEqual({ exitCode: 1, output: "asked for -t\nnginx: [emerg] wrong\n" });
});

test("to reload is to tell Nginx's own process", async () => {
  const { desk, open, has } = await startDesk("exit 9");
  await open();
  expect(await desk.ask("reload", never)).toEqual({ exitCode: 0, output: "" });
  await waitUntil("the reload", () => has("reloaded"));
});

test("those who ask at once are served one after the other", async () => {
  const { desk, open } = await startDesk("mkdir ../busy || exit 7; sleep 0.05; rmdir ../busy");
  await open();
  const answers = await Promise.all([1, 2, 3].map(() => desk.ask("test", never)));
  expect(answers.map((answer) => answer?.exitCode)).toEqual([0, 0, 0]);
});

test("a long answer is cut at 64 KiB, and its end is found", async () => {
  const { desk, open } = await startDesk("yes 'end of it' | head -c 5000000; exit 3");
  await open();
  const answer = await desk.ask("test", never);
  expect([answer?.exitCode, answer?.output.length]).toEqual([3, 65_536]);
});

test("where nobody is there, nobody answers: at once", async () => {
  const { desk, folder, open } = await startDesk("exit 0");
  expect(await desk.ask("test", never)).toBeNull();
  const child = await open();
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(existsSync(join(folder, "ask"))).toBe(true);
  expect(await desk.ask("test", never)).toBeNull();
  await open();
  expect(await desk.ask("test", never)).toMatchObject({ exitCode: 0 });
});

test("a desk that does not begin is not waited for, nor asked again soon, and does not do late what it was asked", async () => {
  const { desk, folder, open, has } = await startDesk("exit 1");
  const child = await open();
  child.kill("SIGSTOP");
  expect(await desk.ask("reload", never)).toBeNull();
  const again = performance.now();
  expect(await desk.ask("test", never)).toBeNull();
  expect(performance.now() - again).toBeLessThan(1_000);
  child.kill("SIGCONT");
  expect(await createNginxDesk(folder).ask("test", never)).toEqual({ exitCode: 1, output: "" });
  expect(has("reloaded")).toBe(false);
  const rested = createNginxDesk(folder, { restMs: 0 });
  expect(await rested.ask("reload", never)).toEqual({ exitCode: 0, output: "" });
  await waitUntil("the reload", () => has("reloaded"));
});

test.each<[string, (path: string) => Promise<void>]>([
  ["a link to a file", async (path) => symlink("../mine", path)],
  ["a file", async (path) => writeFile(path, "")],
  ["a folder", async (path) => void (await mkdir(path))],
  ["a link to a device", async (path) => symlink("/dev/null", path)],
])("%s in the place of either pipe is left as it is, and costs nothing", async (_what, put) => {
  const { desk, folder, open } = await startDesk("exit 0");
  const mine = join(folder, "../mine");
  await writeFile(mine, "precious");
  const openFiles = () => readdirSync("/proc/self/fd").length;
  for (const end of ["ask", "answer"]) {
    const child = await open();
    await rm(join(folder, end));
    await put(join(folder, end));
    const before = openFiles();
    for (let times = 1; times <= 20; times++) expect(await desk.ask("test", never)).toBeNull();
    await waitUntil("what was opened to be closed", () => openFiles() < before + 20);
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  expect(await readFile(mine, "utf8")).toBe("precious");
});

test("a desk that ends before it has answered answers nobody", async () => {
  const { desk, open, has, put } = await startDesk("touch ../begun; until [ -e ../go ]; do sleep 0.02; done");
  const child = await open();
  const asked = desk.ask("test", never);
  await waitUntil("it to begin", () => has("begun"));
  child.kill("SIGKILL");
  await once(child, "exit");
  await put("go");
  expect(await asked).toBeNull();
});

test("an answer that nobody waited for is not taken for the next one", async () => {
  const { desk, folder, open, has, put } = await startDesk(
    "touch ../begun; until [ -e ../go ]; do sleep 0.02; done; exit 1",
  );
  await open();
  const impatient = new AbortController();
  const asked = desk.ask("test", impatient.signal);
  await waitUntil("it to begin", () => has("begun"));
  impatient.abort(new Error("no time left"));
  await expect(asked).rejects.toThrow("no time left");
  await expect(desk.ask("test", impatient.signal)).rejects.toThrow("no time left");
  const next = createNginxDesk(folder).ask("reload", never);
  await put("go");
  expect(await next).toEqual({ exitCode: 0, output: "" });
});

test("an answer is read out of what others were told", () => {
  const others = "end a 1\nbegin b\nwords\nend b 0\n";
  expect(readAnswer(`${others}`, "c")).toEqual({ hasBegun: false, answer: null });
  expect(readAnswer(`${others}begin c\nhalf of`, "c")).toEqual({ hasBegun: true, answer: null });
  expect(readAnswer(`${others}begin c\nall of it\n\nend c 1`, "c")).toEqual({ hasBegun: true, answer: null });
  expect(readAnswer(`${others}begin c\nall of it\n\nend c 1\n`, "c")).toEqual({
    hasBegun: true,
    answer: { exitCode: 1, output: "all of it\n" },
  });
});
