/** The value below which the share `q` of the values lies, interpolated; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * q
  const low = sorted[Math.floor(place)] ?? NaN
  const high = sorted[Math.ceil(place)] ?? NaN
  return low + (high - low) * (place - Math.floor(place))
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** Half the distance of the quartiles, in percent of the median: how much the rounds differ. */
export function spreadPct(values: readonly number[]): number {
  return (50 * (quantile(values, 0.75) - quantile(values, 0.25))) / median(values)
}

/** Ratios of what was measured in the same round, and of them the median. */
export function ratioOf(ones: readonly number[], others: readonly number[]): number {
  return median(ratiosOf(ones, others))
}

export function ratiosOf(ones: readonly number[], others: readonly number[]): number[] {
  return ones.map((one, round) => one / (others[round] ?? NaN))
}

/** At most `count` values that are spread like all of them: for drawing. */
export function thinned(values: readonly number[], count: number): number[] {
  if (values.length <= count) return [...values]
  const sorted = [...values].sort((a, b) => a - b)
  return Array.from({ length: count }, (_, at) => sorted[Math.round((at * (sorted.length - 1)) / (count - 1))] ?? NaN)
}
