import { expect, test } from "vitest";
import { formatEvent } from "./event-stream.ts";

test("an event is written with its name, id and data", () => {
  expect(formatEvent({ event: "tick", id: "7", data: "{}" })).toBe("event: tick\nid: 7\ndata: {}\n\n");
});

test("data with line breaks of any kind cannot forge a field of an event", () => {
  expect(formatEvent({ data: "a\nevent: evil\r\nb\rc" })).toBe("data: a\ndata: event: evil\ndata: b\ndata: c\n\n");
});
