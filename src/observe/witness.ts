/**
 * What the locks of one manager tell whoever looks at them (`latchkey/inspector`). The channels of node:diagnostics_channel
 * hash the session's id for each event; a witness is given plain values, and hashes what it shows and nothing else.
 */

/** A session was held, and is not any more. Milliseconds of the manager's clock. */
export interface HoldSeen {
  /** The raw session id: for code, not for logs. */
  readonly id: string
  /** The lock's value: it holds what the holder called itself, see `labelIn`. Undefined without a lock. */
  readonly token: string | undefined
  /** What the holder called itself, where there is no token. */
  readonly label?: string | undefined
  readonly sinceMs: number
  readonly overAtMs: number
  /** `ok`, a LATCHKEY_ code, or why the lock was lost. */
  readonly outcome: string
  /** What was wrong, for people; undefined where nothing was. */
  readonly reason?: string | undefined
  /** `waiter`: the flight that stored the session gave the lock to the next request of this process. */
  readonly to: 'waiter' | 'nobody'
  /** The time that requests of this process waited for this hold, taken together. */
  readonly causedMs: number
  /** With `locking: false`: whether it wrote. */
  readonly wroteUnlocked?: boolean
}

/** A request has waited for a session, or was refused it at once. */
export interface WaitSeen {
  readonly id: string
  readonly label: string | undefined
  readonly sinceMs: number
  readonly overAtMs: number
  /** `ok`: it got the session. */
  readonly outcome: string
  readonly reason?: string | undefined
  /** Whom it waited for at last, where that was another process. */
  readonly stranger: { readonly host: string | undefined; readonly pid: number | undefined; readonly label: string | undefined } | undefined
}

/** Something in the life of a hold that goes on. */
export interface MarkSeen {
  readonly id: string
  readonly kind: 'renewal' | 'save'
  readonly atMs: number
  /** `ok`, a LATCHKEY_ code; of a renewal `lost` or `unclear`. */
  readonly outcome: string
}

/** Whoever looks. Called in the middle of requests: quick, and throws nothing. */
export interface Witness {
  held(hold: HoldSeen): void
  waited(wait: WaitSeen): void
  marked(mark: MarkSeen): void
}

/** Where the locks of one manager look for a witness: one question while there is none. */
export class Tap {
  witness: Witness | undefined
  private readonly all = new Set<Witness>()

  /** Returns what ends it. */
  add(witness: Witness): () => void {
    this.all.add(witness)
    this.choose()
    return () => {
      this.all.delete(witness)
      this.choose()
    }
  }

  private choose(): void {
    const [only, ...others] = this.all
    this.witness = others.length === 0 ? only : togetherOf(this.all)
  }
}

const togetherOf = (all: Iterable<Witness>): Witness => ({
  held: (hold) => {
    for (const one of all) one.held(hold)
  },
  waited: (wait) => {
    for (const one of all) one.waited(wait)
  },
  marked: (mark) => {
    for (const one of all) one.marked(mark)
  },
})
