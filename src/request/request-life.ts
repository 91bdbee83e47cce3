import type { HeldText } from './held-text.js'

/**
 * - waiting: for the session.
 * - passed by: the response did not wait for it (a timeout has answered).
 * - running: the handler is at work.
 * - answered: it has ended its response.
 */
type Stage = 'waiting' | 'passed by' | 'running' | 'answered'

/**
 * One request, from its first sight of the session to the end of its response, whatever its framework. All that was locked
 * is let go of once: when the response is decided, when an event stream begins, or when nobody waits for the response.
 */
export class RequestLife {
  private stage: Stage = 'waiting'
  /** Nothing is held any more, or will not be for long. */
  private isLetGo = false
  private goneTimer: NodeJS.Timeout | undefined

  constructor(
    readonly held: HeldText<object>,
    /** For how long a handler may go on holding the session when its client has left (`LockOptions.clientGoneMs`). */
    private readonly clientGoneMs = 10_000,
    /** Makes a change of the session throw from now on, if it does not yet: it is let go of, and the change would be lost in silence. */
    private readonly protect?: () => void,
  ) {}

  /** The session is there, or cannot be had. False where the response has not waited for that: nothing is left to do. */
  begin(): boolean {
    if (this.stage === 'passed by') return false
    this.stage = 'running'
    return true
  }

  /** The handler has ended its response, which lets go from now on, and no timer does. False where the session is not there yet. */
  answer(): boolean {
    clearTimeout(this.goneTimer)
    const hasBegun = this.stage === 'running' || this.stage === 'answered'
    this.stage = hasBegun ? 'answered' : 'passed by'
    return hasBegun
  }

  /**
   * The response is about to leave: what was called for is done, the session is stored, and let go. Throws what was not
   * stored, but for a response that says so itself: the application was told.
   *
   * @param statusOf of the response as it would leave
   * @param store stores what is to be stored; what it throws the response is to tell
   */
  async decide(statusOf: () => number, store: () => Promise<void>): Promise<void> {
    const { held } = this
    const { calls } = held
    if (!this.answer()) return this.finish()
    if (!calls.isSettled) await calls.settled()
    if (calls.isToldBy(statusOf())) return this.complete()
    // release() has failed before: the session is not locked any more, so this response cannot store it either.
    if (calls.failure !== undefined && held.isOver) throw calls.failure
    calls.isAnswering = true
    try {
      await store()
    } finally {
      this.isLetGo = true
      await held.complete()
    }
    if (calls.failure !== undefined) throw calls.failure
  }

  /**
   * The client has left. The handler may go on for `clientGoneMs`, and store what it has done; unless nobody is at work any
   * more (`isLeft`): the application has cut the client off.
   */
  clientGone(isLeft: () => boolean): void {
    if (this.isLetGo || (this.stage === 'answered' && this.held.isIdle)) return
    this.held.giveUpWaiting()
    if (this.stage !== 'answered' && isLeft()) void this.finish()
    else this.goneTimer = setTimeout(() => void this.finish(), this.clientGoneMs).unref()
  }

  /** Lets go at the end of a response (HeldText.complete). */
  complete(): Promise<void> {
    return this.letGo('complete')
  }

  /** Lets go of what is still held, without storing it. Throws nothing. */
  finish(): Promise<void> {
    clearTimeout(this.goneTimer)
    return this.letGo('finish')
  }

  private async letGo(how: 'complete' | 'finish'): Promise<void> {
    this.isLetGo = true
    try {
      this.protect?.()
    } catch {
      // A Proxy of the application's that throws. What is changed in it is not stored any more, and nobody waits for an error.
    }
    await this.held[how]()
  }
}
