import { channels, type FlightEvent } from '../../observe/channels.js'
import type { Clock } from '../../system/clock.js'
import type { Random } from '../../system/random.js'
import { hashOf } from '../../system/session-hash.js'
import { type Command, failLater, type Receiver, type Reply, type Wire } from '../../wire/wire.js'
import type { Alarms } from './alarms.js'
import type { Bell } from './bell.js'
import type { KeyLayout } from './key-layout.js'
import type { TokenMint } from './lock-token.js'

/** What every lock of one manager shares. */
export interface LockContext {
  /** The manager's name, in what is told of its locks. */
  readonly name: string
  readonly wire: Wire
  readonly clock: Clock
  readonly random: Random
  readonly layout: KeyLayout
  readonly mint: TokenMint
  readonly limits: LockLimits
  readonly counters: LockCounters
  readonly events: LockEvents
  readonly alarms: Alarms
  /** How processes tell each other that a lock is free; undefined: they poll. */
  readonly bell: Bell | undefined
}

export interface LockLimits {
  readonly leaseSec: number
  readonly waitMs: number
  readonly maxHoldMs: number
  /** A lock that is held for longer is reported while it is held; Infinity for never. */
  readonly slowHoldMs: number
  readonly maxWaiters: number
  /** Deadline of one flight; a call of a hook is at most three of them. */
  readonly flightMs: number
}

/** Plain numbers since the manager was made. */
export interface LockCounters {
  flights: number
  acquired: number
  /** Attempts that found the session locked by another process. */
  polls: number
  /** Locks handed to a waiter of the same process in the committing flight. */
  handOffs: number
  /** Locks granted to another process that stood in line. */
  grants: number
  /** Times that a process of this host, or its end, told a waiter here that the lock may be had. */
  rings: number
  committed: number
  fenced: number
  lost: number
  unknown: number
  timeouts: number
  /** The longest that a request has waited for a locked session so far, whether or not it got it. */
  longestWaitMs: number
}

/** What happened where no caller can be told. */
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

/** A flight, counted. */
export function fly(context: LockContext, id: string, commands: readonly Command[]): Promise<Reply[]> {
  context.counters.flights++
  return channels.flight.isObserved ? flyObserved(context, id, commands) : context.wire.flight(id, commands)
}

/**
 * The same, told to `receiver`: without a promise where the wire can do without. While somebody listens to what is told
 * from there it is by promise, so as to be told in the asynchronous context of the request, and not of the socket.
 */
export function send(context: LockContext, id: string, commands: readonly Command[], receiver: Receiver): void {
  const isHeard = channels.flight.isObserved || channels.fenced.isObserved || channels.wait.isObserved
  if (context.wire.send === undefined || isHeard) {
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

/** The reply at `index`; a wire answers every command, so a hole is a bug in it. */
export function replyAt(replies: readonly Reply[], index: number): Reply {
  const reply = replies[index]
  if (reply === undefined) throw new TypeError(`The wire gave ${String(replies.length)} replies, not ${String(index + 1)}`)
  return reply
}
