import { expect, test, vi } from "vitest";
import { abortAfter } from "./abort-after.ts";

test.each(["before", "after"])(
  "abortAfter aborts the given time later when the first signal aborts %s the call",
  (when) => {
    vi.useFakeTimers();
    try {
      const first = new AbortController();
      if (when === "before") first.abort();
      const later = abortAfter(first.signal, 1_000);
      first.abort();
      vi.advanceTimersByTime(999);
      expect(later.aborted).toBe(false);
      vi.advanceTimersByTime(1);
      expect(later.aborted).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  },
);
