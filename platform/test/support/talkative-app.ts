/**
 * An application that speaks in every way that passes through a front door, to be run by `node -e` in an
 * environment: `/` answers at once, `/drip` for ten seconds, `/events` without end (ascending numbers as
 * server-sent events), `/upload` with the number of bytes it got, and an upgrade is echoed.
 */
export const TALKATIVE_APP = `
const { createServer } = require("node:http");
const server = createServer((request, response) => {
  response.on("error", () => {});
  if (request.url === "/upload") {
    let bytes = 0;
    request.on("data", (chunk) => (bytes += chunk.length)).on("end", () => response.end(String(bytes)));
  } else if (request.url === "/drip") {
    let n = 0;
    const timer = setInterval(() => (n++ < 20 ? response.write(n + "\\n") : response.end("done")), 500);
    response.on("close", () => clearInterval(timer));
  } else if (request.url === "/events") {
    let n = 0;
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write("data: " + n++ + "\\n\\n"), 50);
    response.on("close", () => clearInterval(timer));
  } else {
    response.end("ok");
  }
});
server.on("upgrade", (request, socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n");
  socket.on("error", () => {}).pipe(socket);
});
server.listen(3000);
`;
