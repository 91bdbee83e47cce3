import {
  ClosedError,
  LatchkeyError,
  LockLostError,
  LockTimeoutError,
  MisuseError,
  NotSupportedError,
  OutcomeUnknownError,
  ServerRefusedError,
  ServerUnavailableError,
  TooManyWaitersError,
} from '../errors.js'
import { describeHolder } from '../lock/protocol/lock-token.js'
import { hashOf } from '../system/session-hash.js'

/**
 * An error of the lock protocol in the words of a named lock: the protocol speaks of sessions. The same class and code.
 * What is no error of latchkey's (the reason of a signal, say) stays as it is.
 */
export function worded(error: unknown, name: string): unknown {
  if (!(error instanceof LatchkeyError)) return error
  const lock = `the lock "${name}"`
  const details = { cause: error.cause ?? error, session: error.session }
  if (error instanceof LockTimeoutError) {
    const { waitedMs, holder } = error
    const waited = `${lock} stayed taken for ${String(waitedMs)} ms by ${describeHolder(holder)}`
    return new LockTimeoutError(`Not taken: ${waited}. Try again, hold it for less, or raise waitMs.`, { ...details, waitedMs, holder })
  }
  switch (error.code) {
    case 'LATCHKEY_TOO_MANY_WAITERS':
      return new TooManyWaitersError(`Not taken: too many callers of this process wait for ${lock} already (maxWaiters).`, details)
    case 'LATCHKEY_CLOSED':
      return new ClosedError(`The manager is closed: ${lock} is neither taken nor held any more.`, details)
    case 'LATCHKEY_MISUSE':
      return new MisuseError(`The hold on ${lock} has ended already; take it again.`, details)
    case 'LATCHKEY_SERVER_UNAVAILABLE':
      return new ServerUnavailableError(`No server answered for ${lock} (${messageOf(error.cause)}). Check that it runs and can be reached.`, details)
    case 'LATCHKEY_SERVER_REFUSED':
      return new ServerRefusedError(`The server refused ${lock}: ${messageOf(error.cause ?? 'it has no room')}. Check the server.`, details)
    case 'LATCHKEY_NOT_SUPPORTED':
      return new NotSupportedError(`Nothing can be locked here: ${messageOf(error.cause)}.`, details)
    case 'LATCHKEY_OUTCOME_UNKNOWN':
      return new OutcomeUnknownError(
        `No answer was seen to the fencing token of ${lock}: it is not known whether the server counts it. Ask again; ` +
          'a number that was not given to you is given to nobody.',
        details,
      )
    default:
      return lost(name, error)
  }
}

export const lost = (name: string, cause?: unknown): LockLostError =>
  new LockLostError(
    `The lock "${name}" was lost while it was held (it expired, or the server has lost it): another one may have it. Stop; ` +
      'whatever it guards can refuse you by your fencing token.',
    { cause, session: hashOf(name) },
  )

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
