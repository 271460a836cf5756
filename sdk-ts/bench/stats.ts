// Samples and what they come to.

/** The value below which `percent` of the samples lie. */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100));
  const value = sorted[at];
  if (value === undefined) throw new Error("nothing was measured");
  return value;
}

/** The middle one. */
export function median(samples: readonly number[]): number {
  return percentile(samples, 50);
}
