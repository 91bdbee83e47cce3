import type { Holder } from '../errors.js'
import type { LockToken } from './protocol/lock-token.js'
import type { Waiter } from './queue/waiter.js'

/** One session as it is now: who has it, and who waits. For code, not for logs: it has the raw id. */
export interface SessionNow {
  readonly id: string
  /** Of the holder in this process; undefined: nobody here has it. */
  readonly token: LockToken | undefined
  readonly heldMs: number
  readonly leaseLeftMs: number
  /** How many wait here; `waiters` are the first of them. */
  readonly waiting: number
  readonly waiters: readonly { readonly label: string | undefined; readonly waitedMs: number }[]
  /** Who has it in another process, as far as it is known. */
  readonly stranger: Holder | undefined
}

/** What a scene shows. */
export interface SceneLimits {
  readonly sessions: number
  readonly waiters: number
  /** A session that is held for less, and that nobody waits for, is left out: of those there are new ones at every look. */
  readonly shortMs: number
}

interface Present {
  readonly id: string
  readonly heldLock: { readonly token: LockToken; readonly heldMs: number; readonly leaseLeftMs: number } | undefined
  readonly waiting: number
  readonly waitingSinceMs: number
  readonly stranger: Holder | undefined
  firstWaiters(most: number): readonly Pick<Waiter, 'label' | 'arrivedAtMs'>[]
}

/** The sessions that most wait for, or that are held the longest, first. */
export function sceneOf(present: readonly Present[], nowMs: number, limits: SceneLimits): SessionNow[] {
  const ranked = present.flatMap((session) => {
    const sinceMs = Math.max(session.heldLock?.heldMs ?? 0, session.waiting > 0 ? nowMs - session.waitingSinceMs : 0)
    return sinceMs < limits.shortMs ? [] : [{ session, sinceMs }]
  })
  ranked.sort((one, other) => other.session.waiting - one.session.waiting || other.sinceMs - one.sinceMs)
  return ranked.slice(0, limits.sessions).map(({ session }) => {
    const { id, heldLock, waiting, stranger } = session
    const waiters = session.firstWaiters(limits.waiters).map(({ label, arrivedAtMs }) => ({ label, waitedMs: nowMs - arrivedAtMs }))
    const { token, heldMs = 0, leaseLeftMs = 0 } = heldLock ?? {}
    return { id, token, heldMs, leaseLeftMs, waiting, waiters, stranger: heldLock === undefined ? stranger : undefined }
  })
}
