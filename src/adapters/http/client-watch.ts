import type { ServerResponse } from 'node:http'
import { isCutHere } from '../../response/cut-here.js'
import { onceClosed } from '../../response/once-closed.js'
import { onHead } from '../../response/response-head.js'

/** What a request has of its session (HeldText, RequestSession). */
export interface Holding {
  /** The client has gone: the request stops waiting for its session. */
  giveUpWaiting(): void
  /** Lets go, without storing. Throws nothing. */
  finish(): Promise<void>
}

/** Running: the handler is at work. Ending: what is stored is being decided. Ended: past the framework. Over: decided. */
export type Stage = 'running' | 'ending' | 'ended' | 'over'

/**
 * Lets go of a session for which nobody waits: where the connection was cut on this side, at once; where the client has
 * left, after `clientGoneMs`, as the handler may go on and store what it has done.
 */
export class ClientWatch {
  private goneTimer: NodeJS.Timeout | undefined

  constructor(
    private readonly res: ServerResponse,
    private readonly clientGoneMs: number,
    private readonly holding: Holding,
    private readonly stageOf: () => Stage,
  ) {}

  /** A client that has left before is noticed at once. */
  begin(): void {
    onceClosed(this.res, this.onClose)
  }

  /** Lets go when the head of an event stream leaves, which may last for hours. For frameworks that have no hook there. */
  endAtEventStream(): void {
    onHead(this.res, (type) => {
      if (type.startsWith('text/event-stream')) void this.holding.finish()
    })
  }

  /** The handler has ended: its session is let go by the response, and not by the timer. */
  stop(): void {
    clearTimeout(this.goneTimer)
  }

  private readonly onClose = (): void => {
    const { holding, res, clientGoneMs } = this
    const stage = this.stageOf()
    if (stage === 'over') return
    holding.giveUpWaiting()
    if (stage === 'ended' || (stage === 'running' && isCutHere(res))) void holding.finish()
    else this.goneTimer = setTimeout(() => void holding.finish(), clientGoneMs).unref()
  }
}
