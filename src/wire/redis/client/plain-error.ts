/** What is passed on of the error of a client library. */
import { shown } from '../../socket/server-errors.js'

/** Where the libraries keep the error behind theirs. */
const BEHIND = ['cause', 'lastNodeError', 'originalError', 'socketError'] as const
/** Errors may be behind each other in a circle. */
const DEEPEST = 8

/**
 * A copy with what helps to find the reason, and nothing else: the libraries put the command on their errors, and with it the id
 * of a session, the token of a lock, a record, or a password.
 */
export function plainError(error: unknown, depth = 0): Error {
  if (!(error instanceof Error)) return new Error(shown(String(error)))
  const fields = error as Error & Readonly<Record<string, unknown>>
  const inner = (one: unknown): Error | undefined => (one instanceof Error && depth < DEEPEST ? plainError(one, depth + 1) : undefined)
  const message = shown(error.message)
  const cause = BEHIND.map((name) => inner(fields[name])).find((one) => one !== undefined)
  const options = cause === undefined ? undefined : { cause }
  const errors: unknown = fields['errors']
  const copy = Array.isArray(errors) ? new AggregateError(errors.map(inner).filter((one) => one !== undefined), message, options) : new Error(message, options)
  const name = shown(error.name === 'Error' ? error.constructor.name : error.name)
  Object.defineProperty(copy, 'name', { value: name, configurable: true, writable: true })
  const { code } = fields
  if (typeof code === 'string') Object.assign(copy, { code: shown(code) })
  copy.stack = [message === '' ? name : `${name}: ${message}`, ...framesOf(error)].join('\n')
  return copy
}

/** A stack begins with the message, which may have several lines, and was another one when the error was made. */
function framesOf({ message, stack = '' }: Error): string[] {
  const at = stack.indexOf(message)
  return stack.slice(at < 0 ? 0 : at + message.length).split('\n').filter((line) => /^ +at /.test(line))
}
