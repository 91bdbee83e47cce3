import { type SessionHttpError, toHttpError } from '../http/http-error.js'

/** The calls of one request to its store: one after the other, and whether the last change of the session failed. */
export class CallLine {
  private turn: Promise<unknown> = Promise.resolve()
  private pending = 0
  private failed: { readonly sid: string; readonly error: SessionHttpError; readonly isTold: boolean } | undefined
  /** express-session's `res.end` is under way: what fails now is told with the response. */
  ending = false

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.pending === 0
  }

  /** Why the session is not stored as it is. */
  get failure(): SessionHttpError | undefined {
    return this.failed?.error
  }

  /** A call before the response's end came back with the failure. */
  get isFailureTold(): boolean {
    return this.failed?.isTold === true
  }

  inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.pending++
    const run = this.turn.then(work).finally(() => this.pending--)
    this.turn = run.catch(() => undefined)
    return run
  }

  /** In turn, and noted. */
  changing(sid: string, work: () => Promise<void>): Promise<void> {
    const { ending } = this
    return this.inTurn(() => this.noting(sid, work, ending))
  }

  /** Notes whether it failed; a later change of the same session that is stored makes up for one that was not. */
  async noting(sid: string, work: () => Promise<void>, wasEnding = this.ending): Promise<void> {
    try {
      await work()
      if (this.failed?.sid === sid) this.failed = undefined
    } catch (thrown) {
      const error = toHttpError(thrown)
      this.failed = { sid, error, isTold: !wasEnding && !this.ending }
      throw error
    }
  }
}
