/** A walk through the keys of a server in bounded steps, between which it answers others. */
import { NotSupportedError } from '../../errors.js'
import type { ServerNode } from '../socket/node.js'
import { ProtocolError } from '../socket/codec.js'
import { shown } from '../socket/server-errors.js'
import { ask } from './ask.js'
import { isError, type PlainReply } from './resp.js'

/** About how many keys the server looks at in one step. */
const KEYS_AT_ONCE = 1000

/**
 * The keys that begin with `prefix`; one may come twice.
 *
 * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: the user may not use SCAN.
 * @throws {FlightError} the server did not answer.
 */
export const keysOf = (node: ServerNode, prefix: string): AsyncGenerator<string> => walk((...words) => ask(node, ...words), node.name, prefix)

/** The same of who answers `question`. */
export async function *walk(
  question: (...words: readonly (string | number)[]) => Promise<PlainReply>,
  name: string,
  prefix: string,
): AsyncGenerator<string> {
  // In a pattern these signs would mean something else than themselves.
  const pattern = `${prefix.replace(/[*?[\]\\^-]/g, '\\$&')}*`
  let cursor = '0'
  do {
    const reply = await question('SCAN', cursor, 'MATCH', pattern, 'COUNT', KEYS_AT_ONCE)
    if (isError(reply)) throw new NotSupportedError(`${name} does not list its keys (${shown(reply.error)}).`)
    if (!isStep(reply)) throw new ProtocolError('an answer to SCAN that is none')
    for (const key of reply[1]) yield String(key)
    cursor = reply[0]
  } while (cursor !== '0')
}

/** The next cursor, and the keys. */
const isStep = (reply: unknown): reply is readonly [string, readonly unknown[]] =>
  Array.isArray(reply) && typeof reply[0] === 'string' && Array.isArray(reply[1])
