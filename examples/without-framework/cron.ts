import { LockTimeoutError, SessionGoneError, type SessionManager } from 'latchkey'

interface Shop {
  cart: string[]
  /** Milliseconds since 1970. */
  lastSeenMs: number
}

export interface Swept {
  readonly emptied: number
  /** In use just now: they are not abandoned. */
  readonly busy: number
}

/** Every night: empties the carts that nobody has touched since `beforeMs`; passes by one that is in use for longer than `patienceMs`. */
export async function emptyCarts(manager: SessionManager, beforeMs: number, patienceMs = 50): Promise<Swept> {
  let [emptied, busy] = [0, 0]
  for await (const { id, data } of manager.all<Shop>()) {
    // What cannot be read has an `error` in place of its data.
    if (data === undefined || !isAbandoned(data, beforeMs)) continue
    const patience = AbortSignal.timeout(patienceMs)
    try {
      await manager.run<Shop>(
        id,
        (session) => {
          // It was read without the lock; now it cannot change any more.
          if (!isAbandoned(session.data, beforeMs)) return
          session.data.cart = []
          emptied++
        },
        // One that has ended since is not begun again.
        { ifExists: true, signal: patience, label: 'cron' },
      )
    } catch (error) {
      if (error instanceof SessionGoneError) continue
      if (!(error instanceof LockTimeoutError) && error !== patience.reason) throw error
      busy++
    }
  }
  return { emptied, busy }
}

const isAbandoned = ({ cart = [], lastSeenMs = 0 }: Partial<Shop>, beforeMs: number): boolean =>
  cart.length > 0 && lastSeenMs < beforeMs
