// The app of an environment that names no image: a page that shows which environment it is, and /health. It imports
// nothing but node:http, so that it starts at once.
import { createServer } from "node:http";

const port = Number(process.env.PORT ?? 3000);
const envId = process.env.ENV_ID ?? "none";
const hostname = process.env.HOSTNAME ?? "unknown";

// Lines are written together: each write costs Docker more than the request that the line is about.
const GATHER_MS = 50;
let lines = "";

function log(line) {
  if (lines === "") setTimeout(writeLog, GATHER_MS);
  lines += `${line}\n`;
}

function writeLog() {
  process.stdout.write(lines);
  lines = "";
}

const server = createServer((request, response) => {
  const path = (request.url ?? "/").split("?", 1)[0];
  response.on("close", () => {
    // The platform probes every few seconds: those lines would hide all others.
    if (path !== "/health") log(`${request.method} ${request.url} ${response.statusCode}`);
  });
  if (path === "/health") {
    send(response, 200, "application/json", JSON.stringify(health()));
  } else if (path === "/") {
    send(response, 200, "text/html; charset=utf-8", page());
  } else {
    send(response, 404, "text/plain; charset=utf-8", "There is nothing here. Try / or /health.\n");
  }
});

function send(response, status, type, body) {
  // With a length the answer travels as one piece; without, its end is a chunk of its own.
  const length = Buffer.byteLength(body);
  response.writeHead(status, { "content-type": type, "content-length": length, "cache-control": "no-store" });
  response.end(body);
}

function health() {
  return { status: "ok", env_id: envId, uptime: uptime() };
}

function uptime() {
  return Math.round(process.uptime());
}

function escape(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function page() {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(envId)}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center }
  main { padding: 2rem 2.5rem; border: 1px solid #8884; border-radius: 1rem; max-width: 34rem }
  h1 { margin: 0 0 1rem; font-size: 1.4rem }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1.5rem; margin: 0 }
  dt { opacity: .65 }
  dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere }
</style>
<main>
  <h1>Your sandbox is running</h1>
  <dl>
    <dt>Environment</dt><dd>${escape(envId)}</dd>
    <dt>Up for</dt><dd>${uptime()} s</dd>
    <dt>Container</dt><dd>${escape(hostname)}</dd>
  </dl>
</main>
</html>
`;
}

server.listen(port, () => log(`demo-app: ${envId} listens on port ${port}`));

// Without a handler, PID 1 of a container ignores SIGTERM and every stop takes the full grace time.
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    log(`demo-app: ${signal}, leaving`);
    writeLog();
    process.exit(0);
  });
}
