import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { takeExclusiveLock, type ExclusiveLock } from "./instance-lock.ts";

let counter = 0;
const aName = () => `sandbox-test-lock-${process.pid}-${counter++}`;

async function take(name: string): Promise<ExclusiveLock> {
  const taken = await takeExclusiveLock(name, "the test");
  if (!("lock" in taken)) throw new Error(`held by ${taken.holder}`);
  return taken.lock;
}

test("a held lock is refused with its holder's description, and is free after its release", async () => {
  const name = aName();
  const lock = await take(name);
  expect(await takeExclusiveLock(name, "another")).toEqual({ holder: "the test" });
  const other = await take(`${name}-other`);
  await lock.release();
  await (await take(name)).release();
  await other.release();
});

test("a lock is free after its holder was killed", async () => {
  const name = aName();
  const module = new URL("./instance-lock.ts", import.meta.url).href;
  const script = `import { takeExclusiveLock } from "${module}"; await takeExclusiveLock("${name}", "the child");
    process.stdout.write("held"); setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  expect(await takeExclusiveLock(name, "another")).toEqual({ holder: "the child" });
  child.kill("SIGKILL");
  await once(child, "exit");
  await (await take(name)).release();
});

test("a lock is released although a process that asked for it stays connected", async () => {
  const name = aName();
  const lock = await take(name);
  const socket = connect({ path: `\0${name}`, allowHalfOpen: true });
  try {
    socket.resume();
    await once(socket, "end");
    await lock.release();
    expect(await takeExclusiveLock(name, "another")).toHaveProperty("lock");
  } finally {
    socket.destroy();
  }
});

test("a lock is refused when its holder describes itself not at all or at length", async () => {
  for (const [sent, holder] of [
    ["", /^a process that does not describe itself$/],
    [`two\nlines${"x".repeat(10_000)}`, /^twolinesx{192}$/],
  ] as const) {
    const name = aName();
    const server = createServer((socket) => socket.on("error", () => {}).end(sent)).listen(`\0${name}`);
    await once(server, "listening");
    expect(await takeExclusiveLock(name, "another")).toEqual({ holder: expect.stringMatching(holder) });
    server.close();
  }
});
