/**
 * Every error of the public API has a stable `code`, its `cause`, and a message that says the next step.
 *
 * Match errors by `code`. No message or field holds a raw session id: `session` is a short keyed hash of it.
 */

import { brand } from './system/brand.js'

/** The holder of a session's lock, as the lock itself says. For operators: never put it into an HTTP body. */
export interface Holder {
  /** The host name of the holding process; undefined when the lock was not written by latchkey. */
  readonly host: string | undefined
  readonly pid: number | undefined
  /** When the lock was taken, on the holder's wall clock, in milliseconds since 1970. */
  readonly sinceMs: number | undefined
  /** What the holder called itself (`label`): its route, for example. */
  readonly label: string | undefined
}

/** The `code` of each error. docs/reference/errors.md says what to do about each, and which HTTP status it becomes. */
export type ErrorCode =
  | 'LATCHKEY_INVALID_ID'
  | 'LATCHKEY_INVALID_OPTION'
  | 'LATCHKEY_INVALID_SAVE_PATH'
  | 'LATCHKEY_MISUSE'
  | 'LATCHKEY_CLOSED'
  | 'LATCHKEY_LOCK_TIMEOUT'
  | 'LATCHKEY_TOO_MANY_WAITERS'
  | 'LATCHKEY_LOCK_LOST'
  | 'LATCHKEY_HELD_TOO_LONG'
  | 'LATCHKEY_FENCED'
  | 'LATCHKEY_SESSION_GONE'
  | 'LATCHKEY_READ_ONLY'
  | 'LATCHKEY_RECORD_TOO_LARGE'
  | 'LATCHKEY_UNDECODABLE'
  | 'LATCHKEY_RECORD_TAMPERED'
  | 'LATCHKEY_RECORD_MOVED'
  | 'LATCHKEY_RECORD_TRUNCATED'
  | 'LATCHKEY_RECORD_NOT_ENCRYPTED'
  | 'LATCHKEY_RECORD_INFLATES'
  | 'LATCHKEY_UNKNOWN_KEY'
  | 'LATCHKEY_UNSERIALIZABLE'
  | 'LATCHKEY_SERVER_UNAVAILABLE'
  | 'LATCHKEY_SERVER_REFUSED'
  | 'LATCHKEY_OUTCOME_UNKNOWN'
  | 'LATCHKEY_NOT_SUPPORTED'

interface Details {
  readonly cause?: unknown
  /** A short keyed hash of the session id. */
  readonly session?: string | undefined
}

/** The base class of every error of latchkey. Match errors by `code`, or by their class. */
export abstract class LatchkeyError extends Error {
  abstract readonly code: ErrorCode
  /** A short keyed hash of the session id; the same within one process, different in every other. */
  readonly session: string | undefined

  constructor(message: string, details: Details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = new.target.name
    this.session = details.session
  }
}

/** The session id cannot be made into a key. Nothing was sent. Treat such an id from a cookie as no session. */
export class InvalidIdError extends LatchkeyError {
  readonly code = 'LATCHKEY_INVALID_ID'
}

/**
 * An option is out of its range or unknown. The message names the option,
 * and the value and the limit, or the nearest name.
 */
export class InvalidOptionError extends LatchkeyError {
  readonly code = 'LATCHKEY_INVALID_OPTION'
}

/** A save path cannot be read. The message names the part that is wrong, and shows the right form. */
export class InvalidSavePathError extends LatchkeyError {
  readonly code = 'LATCHKEY_INVALID_SAVE_PATH'
}

/** A call came out of order (a write before a read, two reads at once, use after close). A bug in the calling code. */
export class MisuseError extends LatchkeyError {
  readonly code = 'LATCHKEY_MISUSE'
}

/** The manager is closing or closed, and takes no new work. */
export class ClosedError extends LatchkeyError {
  readonly code = 'LATCHKEY_CLOSED'
}

/** The session stayed locked for the whole of `waitMs`. Try again later; `holder` says who held it. */
export class LockTimeoutError extends LatchkeyError {
  readonly code = 'LATCHKEY_LOCK_TIMEOUT'
  readonly waitedMs: number
  readonly holder: Holder | undefined

  constructor(message: string, details: Details & { waitedMs: number; holder: Holder | undefined }) {
    super(message, details)
    this.waitedMs = details.waitedMs
    this.holder = details.holder
  }
}

/** `maxWaiters` requests of this process wait for this session already. Try again later. */
export class TooManyWaitersError extends LatchkeyError {
  readonly code = 'LATCHKEY_TOO_MANY_WAITERS'
}

/**
 * The lock expired or was taken while it was held. This write was not
 * stored. Read the session again and redo the change.
 */
export class LockLostError extends LatchkeyError {
  readonly code = 'LATCHKEY_LOCK_LOST'
}

/**
 * The lock was held for longer than `maxHoldMs` and was released. Nothing was stored. Release it earlier, or raise
 * `maxHoldMs`.
 */
export class HeldTooLongError extends LatchkeyError {
  readonly code = 'LATCHKEY_HELD_TOO_LONG'
}

/**
 * Another writer that started from the same record stored first. Nothing
 * was stored here. Read again and redo the change.
 */
export class FencedError extends LatchkeyError {
  readonly code = 'LATCHKEY_FENCED'
}

/** The session was destroyed, expired or evicted in the meantime. Nothing was stored. Start a new session. */
export class SessionGoneError extends LatchkeyError {
  readonly code = 'LATCHKEY_SESSION_GONE'
}

/**
 * Why a session cannot be changed: it was opened with `readOnly`; it was released, aborted or destroyed, so that a
 * change would not be stored; or it is the copy that a regenerated session left behind (`retired`).
 */
export type ReadOnlyReason = 'readOnly' | 'released' | 'aborted' | 'destroyed' | 'retired'

const READ_ONLY: Readonly<Record<ReadOnlyReason, string>> = {
  readOnly: 'The session was opened with readOnly. Open it without readOnly to change it.',
  released: 'The session was released: a change would not be stored. Change it before release().',
  aborted: 'The session was aborted: a change would not be stored. Start it again.',
  destroyed: 'The session was destroyed: a change would not be stored. Start a new one.',
  retired: 'The session goes on under another id. This copy, which regenerate() left behind, can only be read. Use the new id.',
}

/**
 * The code tried to change a session that can only be read. Thrown at the moment of the attempt; nothing was changed.
 */
export class ReadOnlyError extends LatchkeyError {
  readonly code = 'LATCHKEY_READ_ONLY'

  constructor(
    readonly reason: ReadOnlyReason,
    details: Details = {},
  ) {
    super(READ_ONLY[reason], details)
  }
}

/** The record is larger than the server's item size. Nothing was stored, and the old record is unchanged. */
export class RecordTooLargeError extends LatchkeyError {
  readonly code = 'LATCHKEY_RECORD_TOO_LARGE'
  readonly sizeBytes: number
  readonly limitBytes: number

  constructor(message: string, details: Details & { sizeBytes: number; limitBytes: number }) {
    super(message, details)
    this.sizeBytes = details.sizeBytes
    this.limitBytes = details.limitBytes
  }
}

/** The stored record is not what the serializer wrote. It is left as it is; nothing is saved over it. */
export class UndecodableError extends LatchkeyError {
  readonly code = 'LATCHKEY_UNDECODABLE'
}

/** The stored record was changed by somebody who does not have its key, or is damaged. It is left as it is. */
export class RecordTamperedError extends LatchkeyError {
  readonly code = 'LATCHKEY_RECORD_TAMPERED'
}

/** The stored record is authentic, but was encrypted for another session id. It is left as it is. */
export class RecordMovedError extends LatchkeyError {
  readonly code = 'LATCHKEY_RECORD_MOVED'
}

/** The stored record has fewer bytes than were written. The record is left as it is. */
export class RecordTruncatedError extends LatchkeyError {
  readonly code = 'LATCHKEY_RECORD_TRUNCATED'
}

/** The stored record is not encrypted, and `encryption.acceptPlain` is off. The record is left as it is. */
export class RecordNotEncryptedError extends LatchkeyError {
  readonly code = 'LATCHKEY_RECORD_NOT_ENCRYPTED'
}

/** The stored record is encrypted with a key that this manager does not have. It is left as it is. */
export class UnknownKeyError extends LatchkeyError {
  readonly code = 'LATCHKEY_UNKNOWN_KEY'
  /** The id of the key, as the record says; undefined when it cannot be read. */
  readonly keyId: string | undefined

  constructor(message: string, details: Details & { keyId: string | undefined }) {
    super(message, details)
    this.keyId = details.keyId
  }
}

/** The stored record expands to more than `compression.maxBytes`. It is left as it is. */
export class RecordInflatesError extends LatchkeyError {
  readonly code = 'LATCHKEY_RECORD_INFLATES'
  readonly limitBytes: number

  constructor(message: string, details: Details & { limitBytes: number }) {
    super(message, details)
    this.limitBytes = details.limitBytes
  }
}

/** The session's data cannot be serialized. Nothing was sent. */
export class UnserializableError extends LatchkeyError {
  readonly code = 'LATCHKEY_UNSERIALIZABLE'
  /** Where the value is, for example `cart.items[3].price`; '' is the data itself, undefined means not known. */
  readonly path: string | undefined

  constructor(message: string, details: Details & { path?: string | undefined }) {
    super(message, details)
    this.path = details.path
  }
}

/** No server answered: it refused the connection, hung or was gone. Nothing was stored. */
export class ServerUnavailableError extends LatchkeyError {
  readonly code = 'LATCHKEY_SERVER_UNAVAILABLE'
}

/** The server refused the command for certain (it was out of memory, for example). Nothing was stored. */
export class ServerRefusedError extends LatchkeyError {
  readonly code = 'LATCHKEY_SERVER_REFUSED'
}

/**
 * The command was sent and no answer was seen: the server may have carried it out, or may still do so later.
 * Read the session again to find out, and do not repeat the write before that.
 */
export class OutcomeUnknownError extends LatchkeyError {
  readonly code = 'LATCHKEY_OUTCOME_UNKNOWN'
}

/**
 * The server, or a proxy in front of it, cannot do what was asked (list its keys, for example). Nothing was changed.
 */
export class NotSupportedError extends LatchkeyError {
  readonly code = 'LATCHKEY_NOT_SUPPORTED'
}

brand({
  LatchkeyError,
  InvalidIdError,
  InvalidOptionError,
  InvalidSavePathError,
  MisuseError,
  ClosedError,
  LockTimeoutError,
  TooManyWaitersError,
  LockLostError,
  HeldTooLongError,
  FencedError,
  SessionGoneError,
  ReadOnlyError,
  RecordTooLargeError,
  UndecodableError,
  RecordTamperedError,
  RecordMovedError,
  RecordTruncatedError,
  RecordNotEncryptedError,
  UnknownKeyError,
  RecordInflatesError,
  UnserializableError,
  ServerUnavailableError,
  ServerRefusedError,
  OutcomeUnknownError,
  NotSupportedError,
})
