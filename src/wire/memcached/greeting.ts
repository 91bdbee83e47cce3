/** What a server tells about itself during the handshake. */

export interface Greeting {
  /** The largest item (key, value and header) in bytes; undefined if the server does not say. */
  readonly itemSizeMaxBytes: number | undefined
  /**
   * The server's process: its pid and the second in which it started (`time` - `uptime` is constant for a process).
   * undefined if the server does not say.
   */
  readonly process: string | undefined
  /** The server's own time, in seconds since 1970; undefined if the server does not say. */
  readonly timeSec: number | undefined
}

/** Picks a greeting out of the answers to `stats` and `stats settings`. */
export class GreetingReader {
  readonly #numbers = new Map<string, number>()

  take(name: string, text: string): void {
    if (name !== 'item_size_max' && name !== 'pid' && name !== 'time' && name !== 'uptime') return
    const value = Number(text)
    if (Number.isSafeInteger(value) && value >= 0) this.#numbers.set(name, value)
  }

  result(): Greeting {
    const pid = this.#numbers.get('pid')
    const time = this.#numbers.get('time')
    const uptime = this.#numbers.get('uptime')
    const known = pid !== undefined && time !== undefined && uptime !== undefined
    return {
      itemSizeMaxBytes: this.#numbers.get('item_size_max'),
      timeSec: time,
      process: known ? `${String(pid)}@${String(time - uptime)}` : undefined,
    }
  }
}
