import type { Bell, Visit } from '../protocol/bell.js'
import type { LocalSession } from '../protocol/local-session.js'
import type { TokenContent } from '../protocol/lock-token.js'
import { FLOOR_MS, IN_LINE_FLOOR_MS } from './back-off.js'

/**
 * For how long the holder's word may stand in for the server's: as long as a poll may come late in any case. The holder
 * cannot know that its lock was evicted, or went with a restart.
 */
const TRUSTED_MS = 1750
/** Until the holder has answered for the first time: it takes a connection, and a turn of its event loop. */
const ASKING_FLOOR_MS = 3

/** Where a queue waits for its lock besides asking the server: at the process that has it, if that is a neighbour. */
export class Doorstep {
  private visit: Visit | undefined
  /** What was heard at this visit proved to be wrong: the lock is as it was. */
  private isDistrusted = false

  constructor(
    private readonly bell: Bell | undefined,
    private readonly session: LocalSession,
    private readonly onNews: () => void,
  ) {}

  /** A poll has found that lock in its way; `followsNews`: it was sent because of what was heard. */
  goTo({ instance, bell: address, holder: { host } }: TokenContent, followsNews: boolean): void {
    if (this.visit !== undefined && this.visit.instance === instance) {
      // From now on only the server is asked: who says what is not so (or is not who it says) could have us poll for ever.
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

  /** Whether something was heard that the server is asked about now. */
  takeNews(): boolean {
    return this.visit?.takeNews() === true
  }

  /** Something was heard that the server is to be asked about. */
  get hasNews(): boolean {
    return !this.isDistrusted && this.visit?.hasNews === true
  }

  /** Whether the holder says that it has the lock: the server need not be asked. */
  isStillHeld(): boolean {
    return !this.isDistrusted && this.visit?.isStillHeld() === true
  }

  get trustedMs(): number {
    return this.visit === undefined || this.isDistrusted ? Infinity : TRUSTED_MS
  }

  /** Whether the process of the queue `instance` has ended: the lock that bears its name is nobody's. */
  isDesertedBy(instance: string): boolean {
    return this.visit?.instance === instance && this.visit.isDeserted
  }

  /** The shortest pause before the next question, to whomever it goes. */
  get floorMs(): number {
    if (this.visit === undefined || this.isDistrusted) return FLOOR_MS
    return this.visit.wasAnswered ? IN_LINE_FLOOR_MS : ASKING_FLOOR_MS
  }
}
