import type { Browser } from './browser.js'

/** One request of the second browser. */
export interface Beat {
  readonly sentAtMs: number
  readonly tookMs: number
}

const PACE_MS = 4

/**
 * Lets the second browser send a request every 4 ms, each changing its own session, while `work` is done.
 * It does not wait for an answer before the next request, so a delay would be seen in every request behind it.
 */
export async function watched<T>(bystander: Browser, work: () => Promise<T>): Promise<{ result: T; beats: Beat[] }> {
  const sent: Promise<Beat>[] = []
  const beating = setInterval(() => {
    const answer = beat(bystander)
    // Its failure is told below, when the work is done.
    answer.catch(() => undefined)
    sent.push(answer)
  }, PACE_MS)
  try {
    const result = await work()
    clearInterval(beating)
    return { result, beats: await Promise.all(sent) }
  } finally {
    clearInterval(beating)
    await Promise.allSettled(sent)
  }
}

async function beat(bystander: Browser): Promise<Beat> {
  const { sentAtMs, answeredAtMs } = await bystander.send('POST', '/beat')
  return { sentAtMs, tookMs: answeredAtMs - sentAtMs }
}

/** The time that 99 of 100 requests took at most. */
export function p99Ms(beats: readonly Beat[]): number {
  const sorted = beats.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  const value = sorted[Math.ceil(sorted.length * 0.99) - 1]
  if (value === undefined) throw new Error('The second browser sent no request, so nothing was measured.')
  return value
}
