import { PlatformError } from "../../kernel/errors.ts";
import type { ConfFolder } from "./conf-folder.ts";
import { createCustody, type Custody } from "./custody.ts";
import { VERSION_FILE } from "./config-version.ts";

/** One file of conf.d as it shall be: its text, or null for none. */
export type Change = {
  file: string;
  text: string | null;
  /** What it held before; null for nothing. */
  previous: string | null;
};

/** What `nginx -t` says. */
export type TestResult = { ok: boolean; output: string };

export type Sifted<C extends Change> = {
  /** Written, and accepted by Nginx. */
  accepted: C[];
  /** Refused by Nginx; what was there before is back. */
  refused: { change: C; error: PlatformError }[];
};

type Tools = {
  folder: ConfFolder;
  test: () => Promise<TestResult>;
  now: () => number;
  /** A file that Nginx refuses was moved to `rejected/`. */
  onRejected: (file: string, reason: string) => void;
  /** Files that did not come from here, those of the changes aside. */
  suspects: () => Promise<string[]>;
};

/**
 * Has Nginx test what is in the folder, `changes` applied, and takes out whatever it refuses until
 * the test passes: a change that breaks it is undone, a broken file of somebody else's is set aside, and so is
 * what is no file. Nothing that is innocent is undone, or stays aside. Rejects when the test cannot be run, a file not
 * moved, or Nginx refuses its configuration for what is in no file here: then all that was set aside is back.
 */
export async function siftChanges<C extends Change>(changes: C[], tools: Tools): Promise<Sifted<C>> {
  for (const [name, mark] of tools.folder.marksNow()) {
    if (mark === null) await setAside(name, "this is no file that Nginx could read", tools);
  }
  const custody = createCustody(tools);
  try {
    return await sift(changes, custody, tools);
  } catch (error) {
    await custody.release();
    throw error;
  }
}

async function sift<C extends Change>(changes: C[], custody: Custody, tools: Tools): Promise<Sifted<C>> {
  const refused: Sifted<C>["refused"] = [];
  let accepted = changes;
  // Every turn takes one file out of the folder or one change out of the batch, so it ends.
  for (;;) {
    const { ok, output } = await tools.test();
    if (ok) {
      custody.convict();
      return { accepted, refused };
    }
    const culprit = await findCulprit(output, tools.folder);
    if (culprit === null) {
      const isolated = await isolate(accepted, output, custody, tools);
      return { accepted: isolated.accepted, refused: [...refused, ...isolated.refused] };
    }
    const change = accepted.find(({ file, text }) => file === culprit && text !== null);
    if (change === undefined) {
      await custody.take(culprit, complaint(output));
      continue;
    }
    refused.push(await refuse(change, output, tools));
    accepted = accepted.filter((other) => other !== change);
  }
}

/** Puts back what a change replaced. A removal stays: the file is to go in any case. */
export async function undoChange({ file, text, previous }: Change, folder: ConfFolder): Promise<void> {
  if (text === null) return;
  if (previous === null) await folder.remove(file);
  else await folder.write(file, previous);
}

/**
 * Nginx refuses without naming a file, so which one it is shows only by trying: all changes are
 * undone, then made again one at a time. Where the test fails without them too, the fault is not
 * theirs: it is looked for in what did not come from here, and then they are tried together once more.
 */
async function isolate<C extends Change>(
  changes: C[],
  output: string,
  custody: Custody,
  tools: Tools,
): Promise<Sifted<C>> {
  const puts = changes.filter(({ text }) => text !== null);
  for (const change of puts) await undoChange(change, tools.folder);
  const without = await tools.test();
  if (!without.ok) {
    await clear(without.output, custody, tools);
    for (const { file, text } of puts) await tools.folder.write(file, text ?? "");
    return sift(changes, custody, tools);
  }

  custody.convict();
  const refused: Sifted<C>["refused"] = [];
  for (const change of puts) {
    await tools.folder.write(change.file, change.text ?? "");
    const alone = await tools.test();
    if (!alone.ok) refused.push(await refuse(change, alone.output || output, tools));
  }
  const guilty = new Set(refused.map(({ change }) => change));
  return { accepted: changes.filter((change) => !guilty.has(change)), refused };
}

/**
 * Has the test pass that fails without any change: without the file that Nginx names, or else without all that did
 * not come from here, of which those that it accepts are then put back. Throws Nginx's own words where no file is left
 * to suspect: for want of memory, or room for a file of its own, it would refuse any configuration.
 */
async function clear(failure: string, custody: Custody, tools: Tools): Promise<void> {
  const unnamed = new Set<string>();
  for (let result: TestResult = { ok: false, output: failure }; !result.ok; result = await tools.test()) {
    const culprit = await findCulprit(result.output, tools.folder);
    const suspects = culprit === null ? await tools.suspects() : [culprit];
    if (suspects.length === 0)
      throw new Error(`it refuses its configuration, and no file in conf.d is the cause: ${complaint(result.output)}`);
    for (const name of suspects) {
      await custody.take(name, complaint(result.output));
      if (culprit === null) unnamed.add(name);
    }
  }
  for (const name of unnamed) {
    await custody.release(name);
    const { ok, output } = await tools.test();
    if (!ok) await custody.take(name, complaint(output));
  }
  custody.convict();
}

async function refuse<C extends Change>(
  change: C,
  output: string,
  tools: Tools,
): Promise<{ change: C; error: PlatformError }> {
  await setAside(change.file, output, tools);
  if (change.previous !== null) await tools.folder.write(change.file, change.previous);
  return { change, error: refusal(change, output) };
}

async function setAside(file: string, output: string, { folder, now, onRejected }: Tools): Promise<void> {
  await folder.setAside(file, now());
  onRejected(file, complaint(output));
}

function refusal(change: Change, output: string): PlatformError {
  return new PlatformError(
    "ingress_rejected",
    `Cannot route "${change.file}": Nginx refuses the configuration: ${complaint(output)}`,
  );
}

/**
 * The included file that Nginx's complaint names, if it names one that is there. Only a hint of what
 * to take out first: whether it was the cause, the next test tells. The version's own file is not
 * to blame, since nothing works without it.
 */
async function findCulprit(output: string, folder: ConfFolder): Promise<string | null> {
  const present = new Set(await folder.names());
  for (const [, name = ""] of complaint(output).matchAll(/conf\.d\/([^/"]+?\.conf)(?=["\s:]|$)/g)) {
    if (present.has(name) && name !== VERSION_FILE) return name;
  }
  return null;
}

/** The line of `nginx -t` that says why; warnings and the closing summary are left out. */
function complaint(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return lines.find((line) => /\[(?:emerg|alert|crit)\]/.test(line)) ?? lines.at(-1) ?? "no reason given";
}
