import { EventChannel, type ObservedEvent, type TimedEvent } from './event-channel.js'

/** A request asks for a session, until it has the session or an error. Waiting is included. */
export type AcquireEvent = TimedEvent

/** A request has found the session locked and waits, until it has the session or an error. */
export type WaitEvent = TimedEvent

/**
 * A lock was handed on to the next request of this process, in the flight
 * that stored the session. `label` is that request's.
 */
export interface HandOffEvent extends ObservedEvent {
  /** Requests of this process that still wait for the session. */
  readonly waiting: number
}

/** A lock is renewed. `outcome`: ok, lost, or unclear (it will be tried again). */
export interface RenewEvent extends TimedEvent {
  readonly heldMs: number
}

/** A lock was lost while it was held. */
export interface LostLockEvent extends ObservedEvent {
  /** taken, lapsed, heldTooLong or closed. */
  readonly reason: string
  readonly heldMs: number
}

/** A record is stored, prolonged or destroyed under its lock. */
export interface CommitEvent extends TimedEvent {
  readonly change: 'write' | 'touch' | 'destroy' | 'delete'
  /** Whether the lock is kept (`save`); false: it is released in the same flight. */
  readonly keepsLock: boolean
}

/** A change was refused because somebody else had replaced the record, or it was gone. */
export interface FencedEvent extends ObservedEvent {
  /** LATCHKEY_FENCED or LATCHKEY_SESSION_GONE. */
  readonly code: string
}

/** A lock is released, with or without a commit. A lost lock has no such event. */
export interface ReleaseEvent extends TimedEvent {
  /** From the acquisition of the lock until its holder asked to release it. */
  readonly heldMs: number
  /** `waiter`: the same flight gives the lock to a request of this process (`hand-off`) or to another process. */
  readonly to: 'waiter' | 'nobody'
}

/** The node of a flight. */
export interface ObservedNode {
  /** The name of the node, as in `manager.stats().nodes`, without credentials. */
  readonly name: string
  /** The database system, `memcached` for example; undefined where an application's own wire does not say. */
  readonly system?: string | undefined
  /** Host name, IP address, or the path of a socket. */
  readonly address: string
  /** The TCP port; undefined for a socket. */
  readonly port: number | undefined
}

/** A round trip to the store. `outcome`: ok, not-sent, or unknown (it was sent and no answer was seen). */
export interface FlightEvent extends TimedEvent {
  /** The node that the flight goes to; undefined where the store is in this process. */
  readonly node: ObservedNode | undefined
  /** The commands of the flight, in their order: get, add, set, cas, touch, delete, cad (compare and delete). */
  readonly operations: readonly string[]
}

/** Every kind of event that latchkey publishes on node:diagnostics_channel, each under the name given here. */
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
