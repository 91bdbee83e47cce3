import {
  FencedError,
  HeldTooLongError,
  ClosedError,
  type Holder,
  LockLostError,
  LockTimeoutError,
  MisuseError,
  type LatchkeyError,
  NotSupportedError,
  OutcomeUnknownError,
  RecordTooLargeError,
  ServerRefusedError,
  ServerUnavailableError,
  SessionGoneError,
  TooManyWaitersError,
} from '../../errors.js'
import { hashOf } from '../../system/session-hash.js'
import { ANY_STORE, FlightError, type Reply, unsupportedIn, type Wire } from '../../wire/wire.js'
import type { LossReason } from './lock-context.js'
import { describeHolder } from './lock-token.js'

/** The typed errors of the lock protocol. */

/** The wire on which the call failed: an error names its store, and says what to change there. */
interface Where {
  readonly wire: Wire
}

/** The error after a flight that got no replies and cannot have changed the record. */
export function unavailable(
  { wire: { store = ANY_STORE } }: Where,
  id: string,
  cause: FlightError,
): ServerUnavailableError | ServerRefusedError | NotSupportedError {
  const session = hashOf(id)
  if (cause.answer !== undefined) {
    return new ServerRefusedError(
      `The server answered with an error (${cause.answer}). The session was neither read nor changed. Check the server, ` +
        'and any proxy in front of it.',
      { cause, session },
    )
  }
  const unsupported = unsupportedIn(cause)
  if (unsupported !== undefined) {
    return new NotSupportedError(`No session can be locked here. ${unsupported.message}.`, { cause, session })
  }
  return new ServerUnavailableError(
    `No ${store.name} answered for this session (${messageOf(cause)}). ${store.remedy.unavailable ?? 'Check that the server runs and can be reached.'}`,
    { cause, session },
  )
}

export const outcomeUnknown = (id: string, cause?: unknown): OutcomeUnknownError =>
  new OutcomeUnknownError(
    'The change of the session was sent and no answer was seen. It may have been stored, or may still be stored later. ' +
      'Read the session again to find out; do not repeat the change before that.',
    { cause, session: hashOf(id) },
  )

/** @param cause why it was not looked at what stands there now: then its version alone may have moved on. */
export const fenced = (id: string, cause?: FlightError): FencedError =>
  new FencedError(
    'Another request stored this session first; this change was refused and nothing was overwritten. ' +
      'Read the session again and redo the change.',
    { session: hashOf(id), ...(cause === undefined ? {} : { cause }) },
  )

export const gone = (id: string): SessionGoneError =>
  new SessionGoneError(
    'The session was destroyed, expired or evicted in the meantime; nothing was stored. Start a new session.',
    { session: hashOf(id) },
  )

export const tooLarge = (
  { wire: { store = ANY_STORE } }: Where,
  id: string,
  sizeBytes: number,
  limitBytes: number,
): RecordTooLargeError =>
  new RecordTooLargeError(
    `The record has ${String(sizeBytes)} bytes and the server takes at most ${String(limitBytes)}; the old record is untouched. ` +
      `Keep less in the session, or ${store.remedy.tooLarge}.`,
    { sizeBytes, limitBytes, session: hashOf(id) },
  )

/** The error after a reply that says for certain that nothing was stored. */
export const serverRefused = ({ wire: { store = ANY_STORE } }: Where, id: string, { status }: Reply): ServerRefusedError =>
  new ServerRefusedError(
    `The server refused to store the session (${status}); nothing was stored. To make room, ${store.remedy.outOfMemory}.`,
    { session: hashOf(id) },
  )

export const tooManyWaiters = (id: string, maxWaiters: number): TooManyWaitersError =>
  new TooManyWaitersError(
    `${String(maxWaiters)} requests of this process wait for this session already (maxWaiters). Try again later.`,
    { session: hashOf(id) },
  )

/**
 * @param isOurs whether this process holds the session. Then the holder may be the same request that waits, which would
 *   wait for itself for ever; the message says so.
 */
export const lockTimeout = (
  id: string,
  waitedMs: number,
  waitMs: number,
  holder: Holder | undefined,
  isOurs: boolean,
): LockTimeoutError =>
  new LockTimeoutError(
    `The session stayed locked for ${String(waitedMs)} ms (waitMs is ${String(waitMs)}); it is held by ` +
      `${describeHolder(holder)}. Try again, hold it for less, or raise waitMs.` +
      (isOurs ? SELF : ''),
    { waitedMs, holder, session: hashOf(id) },
  )

const SELF =
  ' The holder is this process. A request that starts the session that it holds (a run() within a run() of the same id, or a ' +
  "page that asks its own server with the visitor's cookie) waits for itself: use the session that it has, or release() it first."

export const alreadyLeft = (id: string): MisuseError =>
  new MisuseError('The session was already written, released or destroyed; start it again.', { session: hashOf(id) })

export function lossError(id: string, reason: LossReason, maxHoldMs: number): LatchkeyError {
  const session = hashOf(id)
  switch (reason) {
    case 'heldTooLong':
      return new HeldTooLongError(
        `The session was locked for more than maxHoldMs (${String(maxHoldMs)}) and was let go; nothing was stored. ` +
          'Release it earlier, or raise maxHoldMs.',
        { session },
      )
    case 'closed':
      return new ClosedError('The manager closed and let the session go; nothing was stored.', { session })
    case 'taken':
    case 'lapsed':
      return new LockLostError(
        'The lock of this session was lost while it was held (it expired or was evicted); nothing was stored. ' +
          'Read the session again and redo the change.',
        { session },
      )
  }
}

/** Narrows what `flight()` threw. Anything but a FlightError is a bug of the wire, and is thrown on unchanged. */
export function asFlightError(error: unknown): FlightError {
  if (error instanceof FlightError) return error
  throw error
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
