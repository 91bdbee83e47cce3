import type { LockContext } from '../lock/protocol/lock-context.js'
import type { LockDialect } from '../lock/protocol/lock-dialect.js'
import { Nesting } from '../lock/nesting.js'
import { SessionLocker } from '../lock/session-locker.js'
import type { Clock } from '../system/clock.js'

/** A named lock has a record only to count fencing tokens. */
export const MUTEX_DIALECT: LockDialect = {
  hasStamps: true,
  hasTombstones: true,
  isBoundToRecord: false,
  freeLock: undefined,
  standBackMs: undefined,
}

/** What the named locks of one manager share. */
export class MutexRoom {
  readonly locker: SessionLocker
  readonly nesting = new Nesting('lock')
  readonly clock: Clock

  /** @param label what holders call themselves where the call gives no label of its own. */
  constructor(
    private readonly context: LockContext,
    readonly label: string | undefined,
  ) {
    this.locker = new SessionLocker(context)
    this.clock = context.clock
  }

  /** Why no lock can have this name; undefined when one can. */
  flawOf(name: unknown): string | undefined {
    return this.context.layout.flawOf(name)
  }
}
