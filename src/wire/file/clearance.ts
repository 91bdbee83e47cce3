/** Clears what has expired, in small steps, so that no request waits for it. */
import type { FileStore } from './file-store.js'

/** Items that are looked at in one step: a fraction of a millisecond. */
const STEP = 100
const BUSY_PAUSE_MS = 1

export interface ClearanceOptions {
  readonly store: FileStore
  /** Between two clearances of all processes together; 0: never by itself. */
  readonly everyMs: number
}

export class Clearances {
  private timer: NodeJS.Timeout | undefined
  private running: Promise<number> | undefined
  private isClosed = false

  constructor(private readonly options: ClearanceOptions) {}

  /** From the first flight on; processes that were started together do not come together. */
  start(): void {
    const { everyMs } = this.options
    if (everyMs === 0 || this.timer !== undefined || this.isClosed) return
    this.timer = setTimeout(() => {
      this.timer = undefined
      void this.byItself().finally(() => {
        this.start()
      })
    }, everyMs * (0.5 + (process.pid % 100) / 100))
    this.timer.unref()
  }

  /** One pass; how many records went. Who asks while one is under way gets that one's answer. Throws a FlightError. */
  pass(pace: Pace): Promise<number> {
    this.running ??= this.clear(pace).finally(() => {
      this.running = undefined
    })
    return this.running
  }

  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
  }

  private async byItself(): Promise<void> {
    try {
      if (this.options.store.claimClearance(this.options.everyMs)) await this.pass('background')
    } catch {
      // Whatever is wrong with the store, the next request will say it to somebody who can do something about it.
    }
  }

  private async clear(pace: Pace): Promise<number> {
    let records = 0
    let next: string | undefined = ''
    while (next !== undefined && !this.isClosed) {
      const step = this.options.store.clear(next, STEP)
      if (step !== 'busy') {
        records += step.records
        next = step.next
      }
      if (next !== undefined) await pause(step === 'busy' ? BUSY_PAUSE_MS : PAUSES_MS[pace], pace)
    }
    return records
  }
}

/** The event loop has a turn to itself after each step, or 20 ms: 100,000 items take 20 s then, and 2 % of a core. */
const PAUSES_MS = { asked: 0, background: 20 } as const
type Pace = keyof typeof PAUSES_MS

const pause = (ms: number, pace: Pace): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    // A process that has nothing else to do may end.
    if (pace === 'background') timer.unref()
  })
