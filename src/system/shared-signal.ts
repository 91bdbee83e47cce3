/** One listener of ours on a signal, however many wait for it: Node takes more than ten on one for a leak. */

/** What is told that a signal aborted. */
export interface AbortListener {
  handleEvent(): void
}

/** What is used of an AbortSignal. */
export interface SignalSource {
  addEventListener(type: 'abort', listener: AbortListener, options: { readonly once: true }): void
  removeEventListener(type: 'abort', listener: AbortListener): void
}

class Listeners implements AbortListener {
  private readonly listeners = new Set<AbortListener>()

  constructor(private readonly signal: AbortSignal) {}

  add(listener: AbortListener): void {
    if (this.listeners.size === 0) this.signal.addEventListener('abort', this, { once: true })
    this.listeners.add(listener)
  }

  remove(listener: AbortListener): void {
    if (this.listeners.delete(listener) && this.listeners.size === 0) this.signal.removeEventListener('abort', this)
  }

  handleEvent(): void {
    // Who is told may stop listening, and others with it.
    for (const listener of this.listeners) {
      this.listeners.delete(listener)
      listener.handleEvent()
    }
  }
}

const shared = new WeakMap<AbortSignal, Listeners>()

/** `addEventListener('abort', listener, { once: true })`; a listener listens once to a signal. */
export function listenTo(signal: SignalSource, listener: AbortListener): void {
  if (!(signal instanceof AbortSignal)) {
    signal.addEventListener('abort', listener, { once: true })
    return
  }
  let listeners = shared.get(signal)
  if (listeners === undefined) {
    listeners = new Listeners(signal)
    shared.set(signal, listeners)
  }
  listeners.add(listener)
}

export function stopListening(signal: SignalSource, listener: AbortListener): void {
  if (signal instanceof AbortSignal) shared.get(signal)?.remove(listener)
  else signal.removeEventListener('abort', listener)
}
