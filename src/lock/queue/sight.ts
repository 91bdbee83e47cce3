import type { Holder } from '../../errors.js'
import { areSameVersions, type Cas } from '../../wire/wire.js'
import type { TokenContent } from '../protocol/lock-token.js'

/** The holder in another process, as the polls have seen it, and since when. */
export interface Sight {
  /** The queue that has the lock; undefined of a stranger, and while nobody has looked. */
  readonly instance: string | undefined
  readonly sinceMs: number
  readonly holder: Holder | undefined
  /** Whether it is the lock of another product. */
  readonly isStranger: boolean
  /** The lock's version: strangers have no names, and each takes a lock of its own. */
  readonly cas: Cas | undefined
  /**
   * How many strangers in a row have come in before us: each time the lock was free for a moment, between two polls. The
   * more, the more often it is asked for.
   */
  readonly missed: number
  /** Since when strangers were seen to have it, one after the other. */
  readonly strangersSinceMs: number
}

/** A queue that was granted the lock, and is seen to have it from then on. */
export const grantedTo = (instance: string, nowMs: number): Sight => ({
  instance,
  sinceMs: nowMs,
  holder: undefined,
  isStranger: false,
  cas: undefined,
  missed: 0,
  strangersSinceMs: nowMs,
})

/** What is known of the holder after another poll; `content` is undefined where that has not looked. */
export function sightOf(before: Sight | undefined, content: TokenContent | undefined, cas: Cas | undefined, nowMs: number): Sight {
  const isStranger = content === undefined ? before?.isStranger === true : content.instance === undefined
  const isSame = before !== undefined && isSameHolder(before, content, cas)
  const hasChanged = before?.cas !== undefined && !isSame && isStranger
  return {
    instance: content?.instance ?? (isStranger ? undefined : before?.instance),
    sinceMs: isSame ? before.sinceMs : nowMs,
    holder: content?.holder ?? before?.holder,
    isStranger,
    cas: isStranger ? (cas ?? before?.cas) : undefined,
    missed: isStranger ? (before?.missed ?? 0) + (hasChanged ? 1 : 0) : 0,
    strangersSinceMs: isStranger && before?.isStranger === true ? before.strangersSinceMs : nowMs,
  }
}

function isSameHolder(before: Sight, content: TokenContent | undefined, cas: Cas | undefined): boolean {
  if (content === undefined || (before.instance === undefined && before.cas === undefined)) return true
  if (content.instance !== undefined) return content.instance === before.instance
  return before.cas !== undefined && cas !== undefined && areSameVersions(before.cas, cas)
}
