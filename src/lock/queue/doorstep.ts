import type { Bell, Visit } from '../protocol/bell.js'
import type { LocalSession } from '../protocol/local-session.js'
import type { TokenContent } from '../protocol/lock-token.js'
import { FLOOR_MS, IN_LINE_FLOOR_MS } from './back-off.js'

/**
 * How long the holder's answers may replace a poll of the server: as long as a poll may be late anyway. The holder
 * cannot know that its lock was evicted, or was lost when the server restarted.
 */
const TRUSTED_MS = 1750
/** The shortest pause until the holder has answered once: it must accept a connection, and then get to our question. */
const ASKING_FLOOR_MS = 3

/** Lets a queue wait at the process that has its lock, if that process is on this host, besides asking the server. */
export class Doorstep {
  private visit: Visit | undefined
  /** News of this visit proved false: the poll after it found the same lock again. */
  private isDistrusted = false

  constructor(
    private readonly bell: Bell | undefined,
    private readonly session: LocalSession,
    private readonly onNews: () => void,
  ) {}

  /**
   * Called when a poll has found the session locked: waits at the holder from then on.
   *
   * @param followsNews whether the poll was sent because the holder said that the lock may be free.
   */
  goTo({ instance, bell: address, holder: { host } }: TokenContent, followsNews: boolean): void {
    if (this.visit !== undefined && this.visit.instance === instance) {
      // The news was false: from now on only the server is asked. Otherwise a faulty or false holder could make us poll
      // without end.
      if (followsNews && !this.isDistrusted) {
        this.isDistrusted = true
        this.visit.leave()
      }
      return
    }
    this.leave()
    if (instance === undefined || address === undefined || host === undefined) return
    const { id, instance: self } = this.session
    this.visit = this.bell?.visit({ id, instance, host, address }, { instance: self, onNews: this.onNews })
  }

  leave(): void {
    this.visit?.leave()
    this.visit = undefined
    this.isDistrusted = false
  }

  /** Whether there is news for the poll that is sent now. The news counts as used from then on. */
  takeNews(): boolean {
    return this.visit?.takeNews() === true
  }

  /** Whether there is news, so that the server should be asked at once. */
  get hasNews(): boolean {
    return !this.isDistrusted && this.visit?.hasNews === true
  }

  /** Whether the holder has said that it still has the lock. Then the server need not be asked. */
  isStillHeld(): boolean {
    return !this.isDistrusted && this.visit?.isStillHeld() === true
  }

  get trustedMs(): number {
    return this.visit === undefined || this.isDistrusted ? Infinity : TRUSTED_MS
  }

  /** Whether the process of the queue `instance` has ended. Then nobody holds the lock that bears its name. */
  isDesertedBy(instance: string): boolean {
    return this.visit?.instance === instance && this.visit.isDeserted
  }

  /** The shortest pause before the next question, whether to the holder or to the server. */
  get floorMs(): number {
    if (this.visit === undefined || this.isDistrusted) return FLOOR_MS
    return this.visit.wasAnswered ? IN_LINE_FLOOR_MS : ASKING_FLOOR_MS
  }
}
