/** What the lines say that memcached answers a command with which reads nothing. */
import type { Reply } from '../wire.js'
import { ProtocolError, replyOf, wordOf } from '../socket/codec.js'
import { casOf } from './version.js'

/** The reply that most commands get; a reply is never changed. */
const OK = replyOf('ok', undefined, undefined, 0)

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
      return replyOf('exists', undefined, undefined, 0)
    case 'NOT_FOUND':
      return replyOf('missing', undefined, undefined, 0)
    case 'SERVER_ERROR object too large for cache':
      return replyOf('tooLarge', undefined, undefined, 0)
    case 'SERVER_ERROR out of memory storing object':
      return replyOf('outOfMemory', undefined, undefined, 0)
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
      return replyOf('exists', undefined, undefined, 0)
    case 'EN':
    case 'NF':
    case 'NOT_FOUND':
      return replyOf('missing', undefined, undefined, 0)
    default:
      if (line.startsWith('HD c')) return replyOf('ok', casOf(line.slice(4), asOf), undefined, 0)
      throw new ProtocolError(`an answer that fits no command (${wordOf(line)})`)
  }
}

/** Whether a line is one of the errors that may answer any command (protocol.txt, "Error strings"). */
export const isError = (line: string): boolean => /^(?:ERROR$|CLIENT_ERROR |SERVER_ERROR )/.test(line)
