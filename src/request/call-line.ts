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
  /** Callbacks that have yet to run: a response waits for them, because they may change the session as well. */
  untold = 0

  /** @param errorOf makes of what a call has thrown what its caller and the response are told. */
  constructor(private readonly errorOf: (thrown: unknown) => Failure) {}

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.pending === 0
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

  /** Begins at once when nothing is under way. With `sid` it is noted whether it failed, as by `noting`. */
  async inTurn<T>(work: () => Promise<T>, sid?: string): Promise<T> {
    const { isAnswering } = this
    if (this.pending++ > 0) await new Promise<void>((resolve) => this.waiting.push(resolve))
    try {
      const result = await work()
      if (sid !== undefined && this.failed?.sid === sid) this.failed = undefined
      return result
    } catch (thrown) {
      throw sid === undefined ? thrown : this.note(sid, thrown, isAnswering)
    } finally {
      this.pending--
      this.waiting.shift()?.()
    }
  }

  /** Notes whether it failed; a later change of the same session that is stored makes up for one that was not. */
  async noting(sid: string, work: () => Promise<void>): Promise<void> {
    const { isAnswering } = this
    try {
      await work()
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
    while (!this.isIdle || this.untold > 0) {
      await this.inTurn(nothing)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

const nothing = (): Promise<void> => Promise.resolve()
