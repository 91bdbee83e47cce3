import type { Cancellation } from '../lock/protocol/handle.js'

type Listener = Parameters<Cancellation['addEventListener']>[1]

/** The client has gone: nobody reads the answer that the request waits for. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError'
}

/** Whether the client of a request has left: the signal for what waits on its behalf, one wait at a time. */
export class Leaving implements Cancellation {
  private listener: Listener | undefined
  hasLeft = false
  /** Made when somebody asks for it: few requests are waiting when they end, and an error costs a stack trace. */
  private error: ClientGoneError | undefined

  get reason(): unknown {
    return this.hasLeft ? (this.error ??= new ClientGoneError('The client has gone.')) : undefined
  }

  leave(): void {
    if (this.hasLeft) return
    this.hasLeft = true
    this.listener?.handleEvent()
  }

  throwIfAborted(): void {
    if (this.hasLeft) throw this.reason
  }

  addEventListener(_type: 'abort', listener: Listener): void {
    this.listener = listener
  }

  removeEventListener(_type: 'abort', listener: Listener): void {
    if (this.listener === listener) this.listener = undefined
  }
}
