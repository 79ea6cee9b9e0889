import { connect } from "node:net";

/** One answer as it came over the wire; `body` is null for a stream, which is left at its beginning. */
export type RawAnswer = { status: number; headers: Record<string, string>; body: string | null };

/**
 * Sends bytes over a connection of their own and returns every answer. Event streams are left as soon as they begin.
 * `halfClose` ends the sending side. Rejects when the connection neither ends nor streams within `limitMs`.
 */
export function sendRaw(
  port: number,
  bytes: Buffer,
  { limitMs = 30_000, halfClose = false }: { limitMs?: number; halfClose?: boolean } = {},
): Promise<RawAnswer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end within ${limitMs} ms; so far: ${Buffer.concat(chunks).toString().slice(0, 500)}`));
    }, limitMs);
    const settle = () => {
      clearTimeout(timer);
      socket.destroy();
      try {
        resolve(parseAnswers(Buffer.concat(chunks).toString("utf8")));
      } catch (error) {
        reject(error);
      }
    };
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      if (chunk.includes("text/event-stream")) settle();
    });
    // A server that refuses a large body closes while it is being sent: its answer counts.
    socket.on("error", () => {});
    socket.on("close", settle);
    socket.on("end", settle);
    if (halfClose) socket.end(bytes);
    else socket.write(bytes);
  });
}

/** The answers in the text that a connection has received. */
export function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  while (rest !== "") {
    const end = rest.indexOf("\r\n\r\n");
    const [first = "", ...lines] = rest.slice(0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) ?/.exec(first)?.[1]);
    if (end === -1 || Number.isNaN(status))
      throw new Error(`not an HTTP answer: ${JSON.stringify(rest.slice(0, 300))}`);
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]),
    );
    rest = rest.slice(end + 4);
    if (status === 100) continue;
    if (headers["content-type"]?.startsWith("text/event-stream")) return [...answers, { status, headers, body: null }];
    const length = Number(headers["content-length"] ?? 0);
    const body = Buffer.from(rest).subarray(0, length).toString();
    answers.push({ status, headers, body });
    rest = Buffer.from(rest).subarray(length).toString();
  }
  return answers;
}
