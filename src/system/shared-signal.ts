/** Shares one listener on a signal among all who wait for it: Node warns of a leak when a signal has more than ten. */

/** An object that is called when a signal aborts. */
export interface AbortListener {
  handleEvent(): void
}

/** The part of an AbortSignal that is used here. */
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
    // A listener may stop listening while it is called, or make others stop: each is removed before it is called.
    for (const listener of this.listeners) {
      this.listeners.delete(listener)
      listener.handleEvent()
    }
  }
}

const shared = new WeakMap<AbortSignal, Listeners>()

/** Like `addEventListener('abort', listener, { once: true })`. A listener that is added twice is called once. */
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
