import { expect, test } from "vitest";
import { formatEvent } from "./event-stream.ts";

test("an event has its name, id and data", () => {
  expect(formatEvent({ event: "tick", id: "7", data: "{}" })).toBe("event: tick\nid: 7\ndata: {}\n\n");
});

test("a text with line breaks of any kind cannot forge a field", () => {
  expect(formatEvent({ data: "a\nevent: evil\r\nb\rc" })).toBe("data: a\ndata: event: evil\ndata: b\ndata: c\n\n");
});
