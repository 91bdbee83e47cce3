/** Waits for others no longer than there is time. */
import type { Clock } from '../../system/clock.js'

export interface Limits {
  readonly clock: Clock
  readonly limitMs: number
  /** Makes the error for when the time is over. */
  readonly whyLate: () => Error
  readonly signal?: AbortSignal | undefined
}

/**
 * What `work` comes to. It is told by its own signal that it was given up; whether it listens or not, nobody waits for it then.
 *
 * @throws the reason of `signal`, or what `whyLate` makes when the time is over.
 */
export function inTime<T>({ clock, limitMs, whyLate, signal }: Limits, work: (givenUp: AbortSignal) => Promise<T>): Promise<T> {
  const giving = new AbortController()
  return new Promise<T>((resolve, reject) => {
    let isOver = false
    const end = (): void => {
      isOver = true
      timer.cancel()
      signal?.removeEventListener('abort', abort)
    }
    const giveUp = (why: unknown): void => {
      if (isOver) return
      end()
      giving.abort(why)
      reject(why instanceof Error ? why : new Error(String(why)))
    }
    const abort = (): void => giveUp(signal?.reason)
    // After the turn's I/O: a process that was held up finds timers due before it has read what is there.
    const timer = clock.setTimer(() => setImmediate(() => giveUp(whyLate())), limitMs)
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted === true) abort()
    else work(giving.signal).finally(end).then(resolve, reject)
  })
}
