import type { HeldText } from './held-text.js'

/** What an adapter does with its framework's session in the life of a request. */
export interface SessionBinding {
  /** The response is about to leave: stores what is to be stored. Throws what the response is to tell. */
  store(): Promise<void>
  /** The session is let go of: from now on a change throws, or it would be lost in silence. Nothing where it throws already. */
  protect?(): void
}

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
    private readonly binding: SessionBinding,
    /** For how long a handler may go on holding the session when its client has left. */
    private readonly clientGoneMs: number,
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
   */
  async decide(statusOf: () => number): Promise<void> {
    const { held, binding } = this
    const { calls } = held
    if (!this.answer()) return this.finish()
    if (!calls.isSettled) await calls.settled()
    if (calls.isToldBy(statusOf())) return this.letGo('complete')
    // release() has failed before: the session is not locked any more, so this response cannot store it either.
    if (calls.failure !== undefined && held.isOver) throw calls.failure
    calls.isAnswering = true
    try {
      await binding.store()
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
    if (this.isLetGo) return
    this.held.giveUpWaiting()
    if (this.stage !== 'answered' && isLeft()) void this.finish()
    else this.goneTimer = setTimeout(() => void this.finish(), this.clientGoneMs).unref()
  }

  /** Lets go of what is still held, without storing it. Throws nothing but what `protect` does. */
  finish(): Promise<void> {
    clearTimeout(this.goneTimer)
    return this.letGo('finish')
  }

  private async letGo(how: 'complete' | 'finish'): Promise<void> {
    this.isLetGo = true
    try {
      this.binding.protect?.()
    } finally {
      await this.held[how]()
    }
  }
}
