/** One request as it will be sent, byte by byte; `{id}` in the target stands for a living environment's id. */
export type FuzzRequest = {
  method: string;
  target: string;
  headers: [name: string, value: string][];
  framing: "exact" | "chunked" | "short" | "long" | "both" | "broken-chunks" | "none";
  body: Uint8Array;
};

/** The bytes on the wire. Each asks for its connection to be closed after the answer. */
export function encodeRequest(request: FuzzRequest, host: string, id: string): Buffer {
  const { method, framing, body: content } = request;
  const lines = [`${method} ${request.target.replaceAll("{id}", id)} HTTP/1.1`];
  if (!request.headers.some(([name]) => name === "Host")) lines.push(`Host: ${host}`);
  lines.push("Connection: close", ...request.headers.map(([name, value]) => `${name}: ${value}`));
  const length = { exact: content.length, short: content.length >> 1, long: content.length + 10, both: content.length }[
    framing as "exact"
  ];
  if (length !== undefined) lines.push(`Content-Length: ${length}`);
  if (framing === "chunked" || framing === "both" || framing === "broken-chunks")
    lines.push("Transfer-Encoding: chunked");
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
  if (framing === "chunked") {
    const size = content.length === 0 ? "" : `${content.length.toString(16)}\r\n`;
    return Buffer.concat([head, Buffer.from(size), content, Buffer.from(`${size === "" ? "" : "\r\n"}0\r\n\r\n`)]);
  }
  return Buffer.concat([head, content]);
}
