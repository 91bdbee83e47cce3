import { channels, type FlightEvent } from '../../observe/channels.js'
import type { Tap } from '../../observe/witness.js'
import type { Clock } from '../../system/clock.js'
import type { Random } from '../../system/random.js'
import { hashOf } from '../../system/session-hash.js'
import { type CycleEnd, type CycleSeat, type CycleStart, startCommands, tellStart } from '../../wire/cycle.js'
import { type Command, failLater, type Receiver, type Reply, type Wire } from '../../wire/wire.js'
import type { Alarms } from './alarms.js'
import type { Bell } from './bell.js'
import type { KeyLayout } from './key-layout.js'
import type { LockDialect } from './lock-dialect.js'
import type { TokenMint } from './lock-token.js'

/** What all locks of one manager share. */
export interface LockContext {
  /** The manager's name, as events report it. */
  readonly name: string
  readonly wire: Wire
  readonly clock: Clock
  readonly random: Random
  readonly layout: KeyLayout
  readonly dialect: LockDialect
  readonly mint: TokenMint
  readonly limits: LockLimits
  readonly counters: LockCounters
  readonly events: LockEvents
  readonly tap: Tap
  readonly alarms: Alarms
  /** Tells other processes that a lock is free, and hears it from them. Undefined: waiters only poll. */
  readonly bell: Bell | undefined
}

export interface LockLimits {
  readonly leaseSec: number
  readonly waitMs: number
  readonly maxHoldMs: number
  /** A lock that is held for longer is reported as slow, while it is held; Infinity: never. */
  readonly slowHoldMs: number
  readonly maxWaiters: number
  /** Deadline of one flight. One call (a read, a commit) takes at most three flights. */
  readonly flightMs: number
}

/** Counts since the manager was made. */
export interface LockCounters {
  flights: number
  acquired: number
  /** Attempts that found the session locked by another process. */
  polls: number
  /** Locks handed to a waiter of the same process in the committing flight. */
  handOffs: number
  /** Locks granted to another process that stood in line. */
  grants: number
  /** How often a waiter here was told by another process of this host, or by its end, that the lock may be free. */
  rings: number
  committed: number
  fenced: number
  lost: number
  unknown: number
  timeouts: number
  /** The longest time so far that a request waited for a locked session, whether or not the request got the session. */
  longestWaitMs: number
}

/** Reports what happens to a lock while no call is under way that could return it. */
export interface LockEvents {
  /** A held lock expired or was taken. `id` is the raw session id: for code, not for logs. */
  lost(id: string, reason: LossReason): void
  /** A lock has been held for longer than `slowHoldMs`; once for each lock. */
  slow(id: string, label: string | undefined, heldMs: number): void
}

export type LossReason = 'taken' | 'lapsed' | 'heldTooLong' | 'closed'

export const newCounters = (): LockCounters => ({
  flights: 0,
  acquired: 0,
  polls: 0,
  handOffs: 0,
  grants: 0,
  rings: 0,
  committed: 0,
  fenced: 0,
  lost: 0,
  unknown: 0,
  timeouts: 0,
  longestWaitMs: 0,
})

/** Sends one flight, counts it, and reports it to those who listen. */
export function fly(context: LockContext, id: string, commands: readonly Command[]): Promise<Reply[]> {
  context.counters.flights++
  return channels.flight.isObserved ? flyObserved(context, id, commands) : context.wire.flight(id, commands)
}

/**
 * Sends one flight like `fly`, and tells `receiver` how it ends: without a promise, where the wire can do so. While
 * somebody listens to the events that the receiver publishes, a promise is used all the same: without it those events
 * would be published in the asynchronous context of the socket, and not in that of the request.
 */
export function send(context: LockContext, id: string, commands: readonly Command[], receiver: Receiver): void {
  if (context.wire.send === undefined || isHeard()) {
    void tell(receiver, context, id, commands)
    return
  }
  context.counters.flights++
  try {
    context.wire.send(id, commands, receiver)
  } catch (thrown) {
    failLater(receiver, thrown)
  }
}

/**
 * Sends the first flight of a cycle that meets nobody. Returns the seat for the second; without one, `send` is used.
 */
export function startCycle(context: LockContext, id: string, start: CycleStart): CycleSeat | undefined {
  if (context.wire.startCycle === undefined || isHeard()) {
    const landed = (replies: Reply[]): void => tellStart(start, replies)
    send(context, id, startCommands(start), { landed, failed: (error) => start.failed(error) })
    return undefined
  }
  context.counters.flights++
  try {
    return context.wire.startCycle(id, start)
  } catch (thrown) {
    failLater(start, thrown)
    return undefined
  }
}

/** Sends the second flight from the seat. False where it must go by `send`: there is no seat, or somebody listens. */
export function endCycle(context: LockContext, end: CycleEnd, seat: CycleSeat | undefined): boolean {
  if (seat === undefined || isHeard()) return false
  context.counters.flights++
  try {
    seat.end(end)
  } catch (thrown) {
    failLater(end, thrown)
  }
  return true
}

const isHeard = (): boolean => channels.flight.isObserved || channels.fenced.isObserved || channels.wait.isObserved

async function tell(receiver: Receiver, context: LockContext, id: string, commands: readonly Command[]): Promise<void> {
  let replies: Reply[]
  try {
    replies = await fly(context, id, commands)
  } catch (thrown) {
    receiver.failed(thrown)
    return
  }
  receiver.landed(replies)
}

function flyObserved(context: LockContext, id: string, commands: readonly Command[]): Promise<Reply[]> {
  const { clock, wire, name: manager } = context
  const session = hashOf(id)
  const operations = commands.map(({ op }) => op)
  const event: FlightEvent = { manager, session, label: undefined, node: wire.nodeOf?.(id), operations }
  return channels.flight.trace(event, clock, () => wire.flight(id, commands))
}

/** The reply at `index`. A wire answers every command, so a missing reply is a bug of the wire. */
export function replyAt(replies: readonly Reply[], index: number): Reply {
  const reply = replies[index]
  if (reply === undefined) throw new TypeError(`The wire gave ${String(replies.length)} replies, not ${String(index + 1)}`)
  return reply
}
