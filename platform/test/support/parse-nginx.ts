/** Nginx's own grammar, as far as it matters: words, quoted words, `{`, `}` and `;`. Throws on anything unfinished. */
export type Directive = { words: string[]; block: Directive[] | null };

export function parseNginx(text: string): Directive[] {
  const tokens = tokenize(text);
  let at = 0;
  function body(inside: boolean): Directive[] {
    const directives: Directive[] = [];
    let words: string[] = [];
    for (;;) {
      const token = tokens[at++];
      if (token === undefined || token === "}") {
        if (words.length > 0 || inside !== (token === "}")) throw new SyntaxError("unexpected end");
        return directives;
      }
      if (token === ";" || token === "{") {
        if (words.length === 0) throw new SyntaxError("a directive without words");
        directives.push({ words, block: token === "{" ? body(true) : null });
        words = [];
      } else words.push(token);
    }
  }
  return body(false);
}

function tokenize(text: string): string[] {
  const token = /\s+|#[^\n]*(?:\n|$)|("(?:[^"\\]|\\[^])*")(?=[\s;{])|([{};])|([^\s"'#{};]+)/gy;
  const tokens: string[] = [];
  while (token.lastIndex < text.length) {
    const start = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw new SyntaxError(`cannot read at ${start}: ${text.slice(start, start + 20)}`);
    const found = match[1] ?? match[2] ?? match[3];
    if (found !== undefined) tokens.push(found);
  }
  return tokens;
}
