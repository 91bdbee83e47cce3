import { acquired, committed, type Locker } from '../lock/protocol/handle.js'
import type { Clock, Timer } from '../system/clock.js'
import { areSameBytes, type Value } from '../wire/wire.js'

/** The record of a session that goes on under another id, and what is to stand in its place. */
export interface Ending {
  readonly id: string
  readonly was: Value
  /** What is to stay in its place; undefined: nothing is. */
  readonly copy: { readonly bytes: Value; readonly ttlSec: number } | undefined
}

const FIRST_MS = 500
const LONGEST_MS = 60_000
/** A quarter of an hour: about as long as an ordinary session lives. */
const MOST_TRIES = 20
/** An outage in which more sessions were regenerated than this leaves the others to their lifetime. */
const MOST_PENDING = 1000

/**
 * Sessions that regenerate() was to end, and no answer came: they may have ended or not, and may yet. By then the
 * session goes on under its new id, so nobody waits for this: each is locked and looked at again, at growing intervals,
 * until it has been ended or is found to be another than it was. What somebody has stored there since is left alone.
 * What is pending when its process ends lives out its lifetime.
 */
export class LateEndings {
  private readonly timers = new Map<Ending, Timer | undefined>()
  private isClosed = false

  constructor(
    private readonly locker: Pick<Locker, 'acquire'>,
    private readonly clock: Clock,
  ) {}

  add(ending: Ending): void {
    if (this.timers.size < MOST_PENDING) this.schedule(ending, 1)
  }

  close(): void {
    this.isClosed = true
    for (const timer of this.timers.values()) timer?.cancel()
    this.timers.clear()
  }

  private schedule(ending: Ending, tries: number): void {
    if (this.isClosed || tries > MOST_TRIES) {
      this.timers.delete(ending)
      return
    }
    const delayMs = Math.min(FIRST_MS * 2 ** (tries - 1), LONGEST_MS)
    const timer = this.clock.setTimer(() => void this.tryAgain(ending, tries), delayMs, { background: true })
    this.timers.set(ending, timer)
  }

  private async tryAgain(ending: Ending, tries: number): Promise<void> {
    this.timers.set(ending, undefined)
    try {
      await this.end(ending)
      this.timers.delete(ending)
    } catch {
      // The server is still away, or somebody holds the session for longer than one waits.
      this.schedule(ending, tries + 1)
    }
  }

  private async end({ id, was, copy }: Ending): Promise<void> {
    const handle = await acquired(this.locker, id, { label: 'regenerate' })
    const { record } = handle
    if (record === undefined || !areSameBytes(record, was)) await handle.release()
    else if (copy === undefined) await handle.end()
    else await committed(handle, copy.bytes, copy.ttlSec)
  }
}
