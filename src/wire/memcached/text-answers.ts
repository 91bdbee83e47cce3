/** What the lines say that memcached answers a command with which reads nothing. */
import type { Reply } from '../wire.js'
import { ProtocolError, wordOf } from '../socket/codec.js'
import { EXISTS, MISSING, OK, OUT_OF_MEMORY, replyOf, TOO_LARGE } from '../reply.js'
import { casOf } from './version.js'

/**
 * The reply to a store; a string is an error that says nothing certain. Only the two errors by which memcached itself
 * refuses an item say that nothing was stored (protocol.txt, "Error strings"; process_update_command in its source).
 */
export function storeReply(line: string): Reply | string {
  switch (line) {
    case 'STORED':
    case 'TOUCHED':
      return OK
    case 'EXISTS':
    case 'NOT_STORED':
      return EXISTS
    case 'NOT_FOUND':
      return MISSING
    case 'SERVER_ERROR object too large for cache':
      return TOO_LARGE
    case 'SERVER_ERROR out of memory storing object':
      return OUT_OF_MEMORY
    default:
      if (line.startsWith('SERVER_ERROR ')) return line
      // Anything else means that the server took the data for commands.
      throw new ProtocolError(`an answer that fits no store (${wordOf(line)})`)
  }
}

/** @throws ProtocolError */
export function lineReply(line: string, asOf: number): Reply {
  switch (line) {
    case 'HD':
    case 'DELETED':
      return OK
    case 'EX':
      return EXISTS
    case 'EN':
    case 'NF':
    case 'NOT_FOUND':
      return MISSING
    default:
      if (line.startsWith('HD c')) return replyOf('ok', casOf(line.slice(4), asOf), undefined, 0)
      throw new ProtocolError(`an answer that fits no command (${wordOf(line)})`)
  }
}

/** Whether a line is one of the errors that may answer any command (protocol.txt, "Error strings"). */
export const isError = (line: string): boolean => /^(?:ERROR$|CLIENT_ERROR |SERVER_ERROR )/.test(line)
