import { ignore } from './quiet.js'

/**
 * The calls of one request on its session: one after the other, so that an application need not wait for its own; and
 * whether the last change of the session failed.
 */
export class CallLine<Failure> {
  private turn: Promise<unknown> = Promise.resolve()
  private pending = 0
  private failed: { readonly sid: string; readonly error: Failure; readonly isTold: boolean } | undefined
  /** The response is about to leave: what fails now is told by it. */
  isAnswering = false
  /** Callbacks that are due: what they call in their turn is part of what the application has called. */
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

  /** It was the application's own call that came back with the failure. */
  get isFailureTold(): boolean {
    return this.failed?.isTold === true
  }

  /** The session is over: what was not stored of it need not be. */
  forgetFailure(): void {
    this.failed = undefined
  }

  /** Begins at once when nothing is under way. With `sid` it is noted whether it failed, as by `noting`. */
  inTurn<T>(work: () => Promise<T>, sid?: string): Promise<T> {
    const { isAnswering } = this
    const before = this.pending++ === 0 ? undefined : this.turn
    const run = before === undefined ? this.now(work, sid, isAnswering) : this.after(before, work, sid, isAnswering)
    this.turn = run
    return run
  }

  private async after<T>(before: Promise<unknown>, work: () => Promise<T>, sid: string | undefined, wasAnswering: boolean): Promise<T> {
    await before.catch(ignore)
    return this.now(work, sid, wasAnswering)
  }

  private async now<T>(work: () => Promise<T>, sid: string | undefined, wasAnswering: boolean): Promise<T> {
    try {
      const result = await work()
      if (sid !== undefined && this.failed?.sid === sid) this.failed = undefined
      return result
    } catch (thrown) {
      throw sid === undefined ? thrown : this.note(sid, thrown, wasAnswering)
    } finally {
      this.pending--
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
      await this.turn.catch(ignore)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
