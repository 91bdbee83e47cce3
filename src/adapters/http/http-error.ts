import type { ServerResponse } from 'node:http'
import { LatchkeyError, ReadOnlyError, type ReadOnlyReason } from '../../errors.js'
import { ClientGoneError } from '../../request/leaving.js'
import { brand } from '../../system/brand.js'
import { hashOf } from '../../system/session-hash.js'

/** What error handlers get: frameworks read `status` or `statusCode`, and `headers`; an application reads `code`. */
export class SessionHttpError extends Error {
  override readonly name = 'SessionHttpError'
  readonly statusCode: number
  /** Never put the message or the stack of the cause into a body: it names the holder. */
  readonly expose = false

  constructor(
    /** The code of the cause, or 'LATCHKEY_CLIENT_GONE' when nobody waits for the answer any more. */
    readonly code: string,
    readonly status: number,
    readonly headers: Readonly<Record<string, string>>,
    message: string,
    cause: unknown,
  ) {
    super(message, { cause })
    this.statusCode = status
  }
}

brand({ SessionHttpError })

const BUSY = { 'Retry-After': '1' }

/** The error that a request is answered with. Its message tells a visitor nothing about holders or servers. */
export function toHttpError(error: unknown): SessionHttpError {
  if (error instanceof SessionHttpError) return error
  if (error instanceof ClientGoneError) {
    return new SessionHttpError('LATCHKEY_CLIENT_GONE', 503, {}, 'The request was given up.', error)
  }
  if (!(error instanceof LatchkeyError)) {
    // Thrown by a function of the application's, its `ttl` or `label`, say.
    return new SessionHttpError('LATCHKEY_MISUSE', 500, {}, 'The session cannot be used.', error)
  }
  const as = (status: number, message: string, headers: Readonly<Record<string, string>> = {}): SessionHttpError =>
    new SessionHttpError(error.code, status, headers, message, error)
  switch (error.code) {
    case 'LATCHKEY_LOCK_TIMEOUT':
    case 'LATCHKEY_TOO_MANY_WAITERS':
      return as(503, 'The session is busy with other requests. Try again in a moment.', BUSY)
    case 'LATCHKEY_READ_ONLY':
      if (error instanceof ReadOnlyError && error.reason === 'retired') return as(409, 'The session goes on under another id.')
      return as(500, 'The session cannot be changed by this request.')
    case 'LATCHKEY_SESSION_GONE':
      return as(409, 'The session ended while this request waited for it.')
    case 'LATCHKEY_FENCED':
      return as(503, 'Another request changed the session first. Try again.', BUSY)
    case 'LATCHKEY_LOCK_LOST':
      return as(503, 'The request lost its session while it worked, and what it changed there was not stored. Try again.', BUSY)
    case 'LATCHKEY_HELD_TOO_LONG':
      return as(503, 'The request held its session for too long, and what it changed there was not stored.', BUSY)
    case 'LATCHKEY_OUTCOME_UNKNOWN':
      return as(503, 'It is not known whether the session was stored.')
    case 'LATCHKEY_SERVER_UNAVAILABLE':
    case 'LATCHKEY_SERVER_REFUSED':
    case 'LATCHKEY_CLOSED':
      return as(503, 'Sessions are not available at the moment.', BUSY)
    case 'LATCHKEY_UNDECODABLE':
    case 'LATCHKEY_RECORD_TAMPERED':
    case 'LATCHKEY_RECORD_MOVED':
    case 'LATCHKEY_RECORD_TRUNCATED':
    case 'LATCHKEY_RECORD_NOT_ENCRYPTED':
    case 'LATCHKEY_RECORD_INFLATES':
    case 'LATCHKEY_UNKNOWN_KEY':
      return as(500, 'Cannot read properly what is stored as the session.')
    default:
      return as(500, 'The session cannot be used.')
  }
}

type Head = Pick<ServerResponse, 'headersSent'> & { setHeader(name: string, value: string): unknown }

/** Retry-After, also where the application answers with an error page of its own. */
export function tellRetry(error: unknown, head: Head): void {
  if (!(error instanceof SessionHttpError) || head.headersSent) return
  for (const [name, value] of Object.entries(error.headers)) head.setHeader(name, value)
}

/** For protect(): what an attempt to change the session throws, with a status for whoever lets it pass. */
export const readOnlyFailure = (reason: ReadOnlyReason, sid: string) => (): SessionHttpError =>
  toHttpError(new ReadOnlyError(reason, { session: hashOf(sid) }))
