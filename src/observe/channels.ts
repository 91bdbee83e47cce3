import { EventChannel, type ObservedEvent, type TimedEvent } from './event-channel.js'

/** A request asks for a session, until it has it or is told why not. Waiting included. */
export type AcquireEvent = TimedEvent

/** A request found the session locked and waits, until it has it or is told why not. */
export type WaitEvent = TimedEvent

/** A lock went to the next request of this process, in the flight that stored the session. `label`: the next one's. */
export interface HandOffEvent extends ObservedEvent {
  /** Requests of this process that still wait for the session. */
  readonly waiting: number
}

/** A lock is prolonged. `outcome`: ok, lost, or unclear (it will be tried again). */
export interface RenewEvent extends TimedEvent {
  readonly heldMs: number
}

/** A lock went away while it was held. */
export interface LostLockEvent extends ObservedEvent {
  /** taken, lapsed, heldTooLong or closed. */
  readonly reason: string
  readonly heldMs: number
}

/** A record is stored, prolonged or destroyed under its lock. */
export interface CommitEvent extends TimedEvent {
  readonly change: 'write' | 'touch' | 'destroy'
  /** Whether the lock is kept (`save`) or let go in the same flight. */
  readonly keepsLock: boolean
}

/** A change was refused because the record had moved on. */
export interface FencedEvent extends ObservedEvent {
  /** LATCHKEY_FENCED or LATCHKEY_SESSION_GONE. */
  readonly code: string
}

/** A lock is let go, with a commit or without. Not of locks that were lost. */
export interface ReleaseEvent extends TimedEvent {
  /** From its acquisition until its holder asked to let go. */
  readonly heldMs: number
  /** `waiter`: it is passed on in the same flight, to a request of this process (`hand-off`) or to another process. */
  readonly to: 'waiter' | 'nobody'
}

/** The node of a flight. */
export interface ObservedNode {
  /** As in `manager.stats().nodes`, without credentials. */
  readonly name: string
  /** What it runs, `memcached` say; undefined where a wire of the application's own does not tell. */
  readonly system?: string | undefined
  /** Host name, IP address, or the path of a socket. */
  readonly address: string
  /** undefined of a socket. */
  readonly port: number | undefined
}

/** A round trip to the store. `outcome`: ok, not-sent, or unknown (it was sent and no answer was seen). */
export interface FlightEvent extends TimedEvent {
  /** undefined where the store is in this process. */
  readonly node: ObservedNode | undefined
  /** What it asks for, in its order: get, add, set, cas, touch, delete, cad (compare and delete). */
  readonly operations: readonly string[]
}

/** Every kind of event that latchkey tells of on node:diagnostics_channel, under the name that is given here. */
export const channels = {
  acquire: new EventChannel<AcquireEvent>('latchkey:acquire'),
  wait: new EventChannel<WaitEvent>('latchkey:wait'),
  handOff: new EventChannel<HandOffEvent>('latchkey:hand-off'),
  renew: new EventChannel<RenewEvent>('latchkey:renew'),
  lost: new EventChannel<LostLockEvent>('latchkey:lost'),
  commit: new EventChannel<CommitEvent>('latchkey:commit'),
  fenced: new EventChannel<FencedEvent>('latchkey:fenced'),
  release: new EventChannel<ReleaseEvent>('latchkey:release'),
  flight: new EventChannel<FlightEvent>('latchkey:flight'),
} as const
