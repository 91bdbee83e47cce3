/** The flights of a turn go together, and wait for other processes without holding up the event loop. */
import { FlightError, type Receiver } from '../wire.js'
import type { Commands, Outcome } from './outcome.js'

interface Waiting {
  readonly commands: Commands
  readonly receiver: Receiver
  readonly dueMs: number
  /** Whether another process was writing when it was tried. */
  wasBusy: boolean
}

export interface FlightQueueOptions {
  /** @param areNew whether any of them may find its answer without writing: of those that were 'busy' none did. */
  readonly run: (flights: readonly Commands[], areNew: boolean) => Outcome[]
  readonly flightMs: number
  readonly nowMs: () => number
}

/** A transaction takes some 10 µs a flight, and all that time nothing else runs. */
const MOST_AT_ONCE = 64
/** Half a millisecond: another process has the write lock for 50 to 300 µs, and a timer fires after 1.1 to 2 ms. */
const TURNS = 24
const PAUSE_MS = 1

/**
 * SQLite's own way to wait for a lock is to sleep on the thread that asked, which is the event loop's. Here a turn of it
 * goes by between two tries, and after some turns a millisecond.
 */
export class FlightQueue {
  private waiting: Waiting[] = []
  private isGoing = false
  private busyTurns = 0
  private stop: FlightError | undefined

  constructor(private readonly options: FlightQueueOptions) {}

  /** Tells the receiver later, never before this returns. */
  push(commands: Commands, receiver: Receiver): void {
    const { nowMs, flightMs } = this.options
    this.waiting.push({ commands, receiver, dueMs: nowMs() + flightMs, wasBusy: false })
    if (!this.isGoing) this.goLater()
  }

  /** Fails what waits, and what comes. */
  close(error: FlightError): void {
    this.stop = error
    if (!this.isGoing && this.waiting.length > 0) this.goLater()
  }

  private goLater(): void {
    this.isGoing = true
    if (this.busyTurns <= TURNS || this.waiting[0]?.wasBusy === false) setImmediate(this.go)
    else setTimeout(this.go, PAUSE_MS)
  }

  private readonly go = (): void => {
    const batch = this.waiting.slice(0, MOST_AT_ONCE)
    this.waiting = this.waiting.length <= MOST_AT_ONCE ? [] : this.waiting.slice(MOST_AT_ONCE)
    const outcomes = this.outcomesOf(batch)
    const nowMs = this.options.nowMs()
    const busy: Waiting[] = []
    const told: [Receiver, Reply | FlightError][] = []
    batch.forEach((flight, at) => {
      const outcome = outcomes[at] ?? 'busy'
      if (outcome !== 'busy') told.push([flight.receiver, outcome])
      else if (nowMs < flight.dueMs) {
        flight.wasBusy = true
        busy.push(flight)
      } else told.push([flight.receiver, new FlightError('not-sent', `Other processes have been writing for ${String(this.options.flightMs)} ms`)])
    })
    this.busyTurns = busy.length === 0 ? 0 : this.busyTurns + 1
    // Behind the others: one of those may only want to read, and waits for nobody then.
    if (busy.length > 0) this.waiting.push(...busy)
    this.isGoing = false
    if (this.waiting.length > 0) this.goLater()
    // Receivers are told last: one that sends another flight at once must find the queue in order.
    for (const [receiver, outcome] of told) {
      if (outcome instanceof FlightError) receiver.failed(outcome)
      else receiver.landed(outcome)
    }
  }

  /** Whatever is thrown there ends these flights, and not the queue: all that come later would wait for good. */
  private outcomesOf(batch: readonly Waiting[]): readonly Outcome[] {
    const { stop } = this
    if (stop !== undefined) return batch.map(() => stop)
    try {
      return this.options.run(batch.map(({ commands }) => commands), batch.some(({ wasBusy }) => !wasBusy))
    } catch (cause) {
      const error = new FlightError('unknown', cause instanceof Error ? cause.message : String(cause), { cause })
      return batch.map(() => error)
    }
  }
}

type Reply = Exclude<Outcome, FlightError | 'busy'>
