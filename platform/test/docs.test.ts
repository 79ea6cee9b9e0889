import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const FOLDERS = "platform,bench,socket-proxy,scripts,demo-app,examples,docs,nginx";
const files = globSync([`{${FOLDERS}}/**/*.*`, "*.*", ".env.example"], { cwd: ROOT, exclude: ["**/node_modules/**"] });
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const pages = files
  .filter((file) => /^README\.md$|^docs\/.*\.md$/.test(file))
  .map((file) => [file, read(file)] as const);

/** The anchor of a heading, as Markdown readers make it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, "")
    .replaceAll(" ", "-");
const anchorsOf = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));

/** What the first group of `pattern` finds in the pages and `isWrong` minds, each with its page. */
function findWrong(pattern: RegExp, isWrong: (found: string, page: string) => boolean, among = pages): string[] {
  return among.flatMap(([page, text]) =>
    [...text.matchAll(pattern)].flatMap(([, found = ""]) => (isWrong(found, page) ? [`${page}: ${found}`] : [])),
  );
}

test("every relative link in the docs leads to a file, and to a heading where it names one", () => {
  const isDead = (link: string, page: string): boolean => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? page : relative(ROOT, resolve(ROOT, dirname(page), path));
    if (!existsSync(join(ROOT, target))) return true;
    return anchor !== undefined && !anchorsOf(target).includes(anchor);
  };
  expect(pages.length).toBeGreaterThan(10);
  expect(findWrong(/\]\(([^)\s]+)\)/g, isDead)).toEqual([]);
  expect(findWrong(/^\[[^\]]+\]: (\S+)$/gm, isDead)).toEqual([]);
});

test("every file of the project that the docs name exists", () => {
  const path = /`((?:platform|bench|socket-proxy|scripts|demo-app|examples|docs|nginx)\/[\w./-]+)`/g;
  const isMade = (file: string) => /^nginx\/(?:conf|extra)\.d\/|slow-disk/.test(file);
  expect(findWrong(path, (file) => !isMade(file) && !existsSync(join(ROOT, file)))).toEqual([]);
});

test("every page of the docs that the code names exists", () => {
  const sources = files.filter((file) => /\.(?:ts|sh|yml|conf)$|^\.env\.example$/.test(file));
  const texts = sources.map((file) => [file, read(file)] as const);
  const isMissing = (page: string) => !files.some((file) => file.startsWith(page));
  expect(findWrong(/(?<![\w/.])(docs\/[\w/-]+(?:\.md)?)/g, isMissing, texts)).toEqual([]);
});

test("every make target that the docs name exists", () => {
  const targets = new Set([...read("Makefile").matchAll(/^([a-z-]+):/gm)].map(([, target]) => target));
  expect(findWrong(/(?:`|^|&& |\$ )make ([a-z-]+)/gm, (target) => !targets.has(target))).toEqual([]);
});

test("every test that docs/operations/promises.md names exists under its title", () => {
  const oneLine = (text: string) => text.replaceAll(/\s+/g, " ");
  const page = oneLine(read("docs/operations/promises.md"));
  const promised = [...page.matchAll(/`([\w.-]+\.test\.ts)`: "([^"]+)"/g)];
  const isThere = (name: string, title: string) =>
    files.some((file) => basename(file) === name && oneLine(read(file)).includes(title));
  expect(promised.length).toBeGreaterThan(50);
  expect(promised.filter(([, name = "", title = ""]) => !isThere(name, title)).map(([, , title]) => title)).toEqual([]);
});
