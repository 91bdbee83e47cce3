import { type SessionHttpError, toHttpError } from '../http/http-error.js'

/** The calls of one request on its session: one after the other, so that an application need not wait for its own. */
export class Calls {
  private turn: Promise<unknown> = Promise.resolve()
  private pending = 0
  private failed: { readonly subject: string; readonly error: SessionHttpError; readonly isTold: boolean } | undefined
  /** The response is about to leave: a failure is told by it. */
  isAnswering = false

  /** Why the session is not stored as it is. */
  get failure(): SessionHttpError | undefined {
    return this.failed?.error
  }

  /** It was the application's own call that came back with the failure. */
  get isFailureTold(): boolean {
    return this.failed?.isTold === true
  }

  inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.pending++
    const run = this.turn.then(work).finally(() => this.pending--)
    this.turn = run.catch(() => undefined)
    return run
  }

  /** A call that stores: a later one on the same subject that does not fail makes up for one that did. */
  storing(subject: string, work: () => Promise<void>): Promise<void> {
    const isTold = !this.isAnswering
    return this.inTurn(async () => {
      try {
        await work()
        if (this.failed?.subject === subject) this.failed = undefined
      } catch (thrown) {
        const error = toHttpError(thrown)
        this.failed = { subject, error, isTold: isTold && !this.isAnswering }
        throw error
      }
    })
  }

  /** Resolves when nothing is under way, callbacks included. */
  async settled(): Promise<void> {
    while (this.pending > 0) {
      await this.turn
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
