/** What a row's samples come to, in the samples' own unit. */
export type Spread = { samples: number; median: number; p95: number; p99: number; min: number; max: number };

/** The spread of some samples. Throws a RangeError without samples: nothing was measured. */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    samples: sorted.length,
    median: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
  };
}

/** The median; the mean of the middle two where their number is even. */
export function median(samples: readonly number[]): number {
  return spreadOf(samples).median;
}

/** Between two samples the value is interpolated, so that the p95 of twenty samples is not just their largest. */
function quantile(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (low === undefined || high === undefined) throw new RangeError("Cannot sum up samples: there are none");
  return low + (high - low) * (place - Math.floor(place));
}
