/** Its output comes in so many bursts a second: fewer wake-ups of hundreds of apps than a timer for each line. */
const BURSTS = 5;

const SCRIPT = `
const { createServer } = require("node:http");
const padding = ".".repeat(80);
let hanging = false, printed = 0, timer;
const actions = {
  "/hang": () => { hanging = true; },
  "/wake": () => { hanging = false; },
  "/print": (url) => {
    const lines = Number(url.searchParams.get("per_second")) / ${BURSTS};
    clearInterval(timer);
    timer = setInterval(() => {
      for (let i = 0; i < lines; i++) console.log(padding + " line " + printed++);
    }, ${1000 / BURSTS});
  },
  "/stop": () => clearInterval(timer),
};
createServer((request, response) => {
  const url = new URL(request.url, "http://app");
  const action = actions[url.pathname];
  if (hanging && action === undefined) return;
  action?.(url);
  response.end(String(printed));
}).listen(process.env.PORT);
`;

/**
 * What the many environments of a row run. Answers how many lines it has printed; `/print?per_second=25`
 * starts printing numbered lines and `/stop` ends that; after `/hang` everything else is accepted and never
 * answered, until `/wake`.
 */
export const BENCH_APP = ["node", "-e", SCRIPT];

/** The numbers of its lines in a log file, in their order. */
export function lineNumbersIn(text: string): number[] {
  return [...text.matchAll(/ line (\d+)$/gm)].map(([, number]) => Number(number));
}
