/** The app prints in so many bursts a second: hundreds of apps then wake up less often than with a timer for each line. */
const BURSTS = 5;

const SCRIPT = `
const { createServer } = require("node:http");
const padding = ".".repeat(80);
let printed = 0, timer;
const actions = {
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
  actions[url.pathname]?.(url);
  response.end(String(printed));
}).listen(process.env.PORT);
`;

/**
 * The command of the environments in the rows that want many. The app answers with the number of lines that it has
 * printed; `/print?per_second=25` starts printing numbered lines, and `/stop` ends it.
 */
export const BENCH_APP = ["node", "-e", SCRIPT];

/** The numbers of the app's lines in a log file, in the file's order. */
export function lineNumbersIn(text: string): number[] {
  return [...text.matchAll(/ line (\d+)$/gm)].map(([, number]) => Number(number));
}
