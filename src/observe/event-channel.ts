import type { AsyncLocalStorage } from 'node:async_hooks'
import { type Channel, channel, subscribe, type TracingChannel, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { LatchkeyError } from '../errors.js'
import type { Clock } from '../system/clock.js'

/** What every event of latchkey says. None holds a session id, a key, a value or a lock's token. */
export interface ObservedEvent {
  /** `name` of the SessionManager that it is about. */
  readonly manager: string
  /** Short keyed hash of the session id, as in errors; agrees within a process, tells nothing outside. */
  readonly session: string
  /** What the holder calls itself (a route, say). */
  readonly label: string | undefined
}

/** An event that takes time. `outcome` and `durationMs` are there when it is over. */
export interface TimedEvent extends ObservedEvent {
  /** `ok`, or why not: a LATCHKEY_ code, or what the event says of its own. */
  outcome?: string
  durationMs?: number
  /** What it failed with. */
  error?: unknown
}

/** How something ended; `error` only where it failed. */
export interface Verdict {
  readonly outcome: string
  readonly error?: unknown
}

const OK: Verdict = { outcome: 'ok' }

/**
 * One kind of event, on node:diagnostics_channel. `tracingChannel(name)` tells when it begins and ends, as Node's own
 * `tracePromise` would, but for `result`, which is nobody's business; `channel(name)` gets it once, when it is over.
 */
export class EventChannel<E extends ObservedEvent = ObservedEvent> {
  private readonly over: Channel
  private readonly tracing: TracingChannel<unknown, E>

  constructor(readonly name: string) {
    this.over = channel(name)
    this.tracing = tracingChannel<unknown, E>(name)
  }

  /** Whether anybody listens. Nothing is built, read or wrapped for an event while nobody does. */
  get isObserved(): boolean {
    const { over, tracing } = this
    return (
      over.hasSubscribers ||
      tracing.start.hasSubscribers ||
      tracing.end.hasSubscribers ||
      tracing.asyncStart.hasSubscribers ||
      tracing.asyncEnd.hasSubscribers ||
      tracing.error.hasSubscribers
    )
  }

  /** Calls `listener` when one is over, of that manager or of any; returns what ends that. */
  onOver(listener: (event: E) => void, manager?: string): () => void {
    const listen = (told: unknown): void => {
      // Nobody but this class writes to the channel.
      const event = told as E
      if (manager === undefined || event.manager === manager) listener(event)
    }
    subscribe(this.name, listen)
    return () => void unsubscribe(this.name, listen)
  }

  /** Makes `contextOf(event)` the content of `storage` in all that an event of this kind sets off, from its beginning. */
  bind<S>(storage: AsyncLocalStorage<S>, contextOf: (event: E) => S): () => void {
    const { start } = this.tracing
    start.bindStore(storage, contextOf)
    return () => void start.unbindStore(storage)
  }

  /** Something that takes no time. */
  tell(event: E): void {
    this.begin(event)
    this.over.publish(event)
  }

  /** Something whose end is told by `end`. */
  begin(event: E): void {
    this.tracing.start.publish(event)
    this.tracing.end.publish(event)
  }

  end(event: E & TimedEvent, durationMs: number, { outcome, error }: Verdict = OK): void {
    event.durationMs = durationMs
    event.outcome = outcome
    if (error !== undefined) {
      event.error = error
      this.tracing.error.publish(event)
    }
    this.tracing.asyncStart.publish(event)
    this.over.publish(event)
    this.tracing.asyncEnd.publish(event)
  }

  /**
   * Runs `work` and tells of it. What is bound to the start channel (a trace's context, say)
   * holds for all that `work` sets off.
   *
   * @param judge whether what came of it is a failure. Default: it is none.
   */
  trace<T>(
    event: E & TimedEvent,
    clock: Clock,
    work: () => Promise<T>,
    judge: (result: T) => Verdict = () => OK,
  ): Promise<T> {
    const sinceMs = clock.nowMs()
    return this.tracing.start.runStores(event, async () => {
      try {
        // An async function, because `work` may throw at once.
        const running = (async () => work())()
        this.tracing.end.publish(event)
        const result = await running
        this.end(event, clock.nowMs() - sinceMs, judge(result))
        return result
      } catch (error) {
        this.end(event, clock.nowMs() - sinceMs, failure(error))
        throw error
      }
    })
  }
}

/** A signal's reason may be anything. */
export const failure = (error: unknown): Verdict => ({ outcome: outcomeOf(error), error: error ?? new Error('aborted') })

function outcomeOf(error: unknown): string {
  if (error instanceof LatchkeyError) return error.code
  // A FlightError, which is the wire's.
  if (error instanceof Error && 'outcome' in error && typeof error.outcome === 'string') return error.outcome
  return error instanceof Error && error.name === 'TimeoutError' ? 'timed out' : 'aborted'
}
