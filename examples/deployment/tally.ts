import type { Answer } from './site.js'

export interface Sample {
  readonly sentMs: number
  readonly tookMs: number
  readonly hasWaited: boolean
}

/** What the requests of a scene came to. */
export class Tally {
  requests = 0
  readonly errors = new Map<string, number>()
  readonly samples: Sample[] = []

  /** Of all of these together. */
  static of(tallies: readonly Tally[]): Tally {
    const sum = new Tally()
    for (const { requests, errors, samples } of tallies) {
      sum.requests += requests
      for (const [name, count] of errors) sum.errors.set(name, (sum.errors.get(name) ?? 0) + count)
      for (const sample of samples) sum.samples.push(sample)
    }
    return sum
  }

  get failed(): number {
    return [...this.errors.values()].reduce((sum, count) => sum + count, 0)
  }

  note(answer: Answer): void {
    this.requests++
    const { status, code, hasWaited, tookMs } = answer
    if (status === 200) {
      this.samples.push({ sentMs: performance.now() - tookMs, tookMs, hasWaited })
      return
    }
    const name = `${status === 0 ? 'no answer' : String(status)} ${code}`.trim()
    this.errors.set(name, (this.errors.get(name) ?? 0) + 1)
  }
}

/** Of milliseconds; NaN of none. */
export function quantile(samples: readonly Sample[], part: number): number {
  const sorted = samples.map(({ tookMs }) => tookMs).sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN
}
