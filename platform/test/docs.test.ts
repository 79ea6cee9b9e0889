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

test("every name that the docs put behind a file is in that file", () => {
  const isMissing = (pair: string): boolean => {
    const [file = "", name = ""] = pair.split("`, `");
    return !existsSync(join(ROOT, file)) || !new RegExp(`\\b${name}\\b`).test(read(file));
  };
  const pair = /`((?:platform|scripts|bench)\/[\w./-]+`, `\w+)`/g;
  expect(findWrong(pair, () => true).length).toBeGreaterThan(5);
  expect(findWrong(pair, isMissing)).toEqual([]);
});

test("every promise of docs/operations/promises.md names a test file that exists and words of a title in it", () => {
  const titlesOf = (file: string) =>
    [...read(file).matchAll(/(?:\b(?:test|it|describe)\w*|\))\(\s*(["`])(.+?)\1,/g)].map(([, , title = ""]) => title);
  const isProven = (name: string, words: string) => {
    const file = files.find((path) => basename(path) === name);
    return file !== undefined && titlesOf(file).some((title) => title.toLowerCase().includes(words.toLowerCase()));
  };
  const promises = read("docs/operations/promises.md").split(/^\* /m).slice(1);
  const unproven = promises.filter((promise) => {
    const [, name = "", words = ""] = /`([\w.-]+\.test\.ts)`: "([^"]+)"/.exec(promise) ?? [];
    // A whole title would have to change with each of its words.
    return words === "" || words.split(" ").length > 5 || !isProven(name, words);
  });
  expect(promises.length).toBeGreaterThan(50);
  expect(unproven).toEqual([]);
});
