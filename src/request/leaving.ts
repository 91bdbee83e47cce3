import type { Cancellation } from '../lock/protocol/handle.js'

type Listener = Parameters<Cancellation['addEventListener']>[1]

/** Why a wait is given up whose answer nobody reads any more. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError'
}

/** Whether the client of a request has left: the signal for what waits on its behalf, one wait at a time. */
export class Leaving implements Cancellation {
  private listener: Listener | undefined
  private left: { readonly reason: unknown } | undefined

  get reason(): unknown {
    return this.left?.reason
  }

  abort(reason: unknown): void {
    if (this.left !== undefined) return
    this.left = { reason }
    this.listener?.handleEvent()
  }

  throwIfAborted(): void {
    if (this.left !== undefined) throw this.left.reason
  }

  addEventListener(_type: 'abort', listener: Listener): void {
    this.listener = listener
  }

  removeEventListener(_type: 'abort', listener: Listener): void {
    if (this.listener === listener) this.listener = undefined
  }
}
