/**
 * Runs the calls of one request on its session one after the other, so that an application need not await its own, and
 * remembers whether the last change of the session failed.
 */
export class CallLine<Failure> {
  private readonly waiting: (() => void)[] = []
  private pending = 0
  private failed: { readonly sid: string; readonly error: Failure; readonly isTold: boolean } | undefined
  /** The response is about to leave: a failure from now on is told by the response, and not by a call. */
  isAnswering = false
  /** Callbacks that have yet to run, and what is made of several calls: a response waits for them, as for calls. */
  untold = 0

  /** @param errorOf makes of what a call has thrown what its caller and the response are told. */
  constructor(private readonly errorOf: (thrown: unknown) => Failure) {}

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.pending === 0
  }

  /** Nothing is under way, callbacks included. */
  get isSettled(): boolean {
    return this.isIdle && this.untold === 0
  }

  /** Why the session is not stored as it is. */
  get failure(): Failure | undefined {
    return this.failed?.error
  }

  /** Whether it was another session than `sid` whose last change failed. */
  hasFailedBeside(sid: string): boolean {
    return this.failed !== undefined && this.failed.sid !== sid
  }

  /** Whether a response of this status tells of the failure: it came back to a call of the application's own. */
  isToldBy(status: number): boolean {
    return status >= 400 && this.failed?.isTold === true
  }

  /** The session was destroyed: a change that could not be stored before does not matter any more. */
  forgetFailure(): void {
    this.failed = undefined
  }

  /**
   * `work(...args)`, at once when nothing is under way. With `sid` it is noted whether it failed; a later change of the same
   * session that is stored makes up for one that was not.
   */
  async inTurn<Args extends unknown[], T>(work: (...args: Args) => Promise<T>, sid?: string, ...args: Args): Promise<T> {
    const { isAnswering } = this
    const turn = this.begin()
    if (turn !== undefined) await turn
    try {
      const result = await work(...args)
      if (sid !== undefined && this.failed?.sid === sid) this.failed = undefined
      return result
    } catch (thrown) {
      throw sid === undefined ? thrown : this.note(sid, thrown, isAnswering)
    } finally {
      this.end()
    }
  }

  /** For a call that takes its turn by itself, and calls `end` after it. Undefined: it is its turn now. */
  begin(): Promise<void> | undefined {
    return this.pending++ > 0 ? new Promise((resolve) => this.waiting.push(resolve)) : undefined
  }

  end(): void {
    this.pending--
    this.waiting.shift()?.()
  }

  /** Notes whether it failed, of what takes no turn by itself: it is made of calls that do. */
  async noting<Args extends unknown[]>(sid: string, work: (...args: Args) => Promise<void>, ...args: Args): Promise<void> {
    const { isAnswering } = this
    try {
      await work(...args)
      if (this.failed?.sid === sid) this.failed = undefined
    } catch (thrown) {
      throw this.note(sid, thrown, isAnswering)
    }
  }

  private note(sid: string, thrown: unknown, wasAnswering: boolean): Failure {
    const error = this.errorOf(thrown)
    this.failed = { sid, error, isTold: !wasAnswering && !this.isAnswering }
    return error
  }

  /** Resolves when nothing is under way, callbacks included. */
  async settled(): Promise<void> {
    while (!this.isSettled) {
      await this.inTurn(nothing)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

const nothing = (): Promise<void> => Promise.resolve()
