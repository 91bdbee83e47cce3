import type { AsyncLocalStorage } from 'node:async_hooks'
import { type Channel, channel, subscribe, type TracingChannel, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { LatchkeyError } from '../errors.js'
import type { Clock } from '../system/clock.js'

/** The fields of every event of latchkey. No event holds a session id, a key, a value or a lock's token. */
export interface ObservedEvent {
  /** The `name` of the SessionManager that the event is about. */
  readonly manager: string
  /** A short keyed hash of the session id, as in errors; the same within one process, different in every other. */
  readonly session: string
  /** What the holder calls itself (its route, for example). */
  readonly label: string | undefined
}

/** An event that takes time. `outcome` and `durationMs` are set when it is over. */
export interface TimedEvent extends ObservedEvent {
  /** `ok`, or why not: a LATCHKEY_ code, or a word that the kind of event defines. */
  outcome?: string
  durationMs?: number
  /** The error, if the event ended in one. */
  error?: unknown
}

/** How an event ended; `error` is set only where it failed. */
export interface Verdict {
  readonly outcome: string
  readonly error?: unknown
}

const OK: Verdict = { outcome: 'ok' }

/**
 * One kind of event on node:diagnostics_channel. `tracingChannel(name)` publishes its beginning and its end, as Node's
 * own `tracePromise` does, except for `result`, which may hold a session's data. `channel(name)` publishes the event
 * once, when it is over.
 */
export class EventChannel<E extends ObservedEvent = ObservedEvent> {
  private readonly over: Channel
  private readonly tracing: TracingChannel<unknown, E>

  constructor(readonly name: string) {
    this.over = channel(name)
    this.tracing = tracingChannel<unknown, E>(name)
  }

  /**
   * Whether anybody listens. Ask this first: while nobody listens, nothing
   * should be built, read or wrapped for an event.
   */
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

  /**
   * Calls `listener` for each event that is over, of `manager` or of any manager. Returns a function that ends this.
   */
  onOver(listener: (event: E) => void, manager?: string): () => void {
    const listen = (told: unknown): void => {
      // Only this class publishes on the channel, so the message is an E.
      const event = told as E
      if (manager === undefined || event.manager === manager) listener(event)
    }
    subscribe(this.name, listen)
    return () => void unsubscribe(this.name, listen)
  }

  /**
   * Makes `contextOf(event)` the content of `storage` in all the work that belongs to an event of this kind, from its
   * beginning. Returns a function that ends this.
   */
  bind<S>(storage: AsyncLocalStorage<S>, contextOf: (event: E) => S): () => void {
    const { start } = this.tracing
    start.bindStore(storage, contextOf)
    return () => void start.unbindStore(storage)
  }

  /** Publishes an event that takes no time. */
  tell(event: E): void {
    this.begin(event)
    this.over.publish(event)
  }

  /** Publishes the beginning of an event. Call `end` when it is over. */
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
   * Runs `work`, and publishes its beginning and its end. A store that is bound to the start channel (a trace's
   * context, for example) holds for everything that `work` starts.
   *
   * @param judge says from the result how the event ended. Default: every result is a success.
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
        // `work` may throw at once: the async function turns that into a rejection.
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

/** The verdict on a failure. Takes any value, because a signal may be aborted with any reason. */
export const failure = (error: unknown): Verdict => ({ outcome: outcomeOf(error), error: error ?? new Error('aborted') })

function outcomeOf(error: unknown): string {
  if (error instanceof LatchkeyError) return error.code
  // A FlightError of the wire.
  if (error instanceof Error && 'outcome' in error && typeof error.outcome === 'string') return error.outcome
  return error instanceof Error && error.name === 'TimeoutError' ? 'timed out' : 'aborted'
}
