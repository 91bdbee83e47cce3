/** What the answers of Redis mean as replies to commands. */
import { ProtocolError } from '../socket/codec.js'
import { EXISTS, MISSING, OK, OUT_OF_MEMORY, replyOf } from '../reply.js'
import type { Command, Reply } from '../wire.js'
import { itemIn, readReply } from './item.js'
import { isOutOfMemory } from './refusals.js'
import { Bulk, type ErrorReply, isError, type RespReply } from './resp.js'

/** Done by the script, as a version is compared or two things are done at once. */
export type Scripted = Command & { readonly op: 'cas' | 'cad' | 'touch' }
/** Redis has a command for it. */
export type Single = Command & { readonly op: 'get' | 'add' | 'set' | 'delete' }

export function singleReply(op: Single['op'], version: string | undefined, reply: RespReply): Reply | ErrorReply {
  if (isError(reply)) {
    return isOutOfMemory(reply.error) && (op === 'add' || op === 'set') ? OUT_OF_MEMORY : reply
  }
  switch (op) {
    case 'get':
      if (reply === null) return MISSING
      if (reply instanceof Bulk) return readReply(itemIn(reply.arrived, reply.from, reply.to))
      break
    case 'add':
      if (reply === null) return EXISTS
      if (reply === 'OK') return storedAs(version)
      break
    case 'set':
      if (reply === 'OK') return storedAs(version)
      break
    case 'delete':
      if (reply === 0) return MISSING
      if (reply === 1) return OK
      break
  }
  throw new ProtocolError(`an answer that is none to ${op}`)
}

export function scriptReply(op: Scripted['op'], version: string | undefined, reply: RespReply): Reply | ErrorReply {
  if (isError(reply)) return isOutOfMemory(reply.error) && op === 'cas' ? OUT_OF_MEMORY : reply
  if (op === 'touch') {
    if (reply === null) return MISSING
    if (!(reply instanceof Bulk)) throw new ProtocolError('an answer that is none to touch')
    const { version: found } = itemIn(reply.arrived, reply.from, reply.to)
    return replyOf('ok', { version: found, asOf: 0 }, undefined, 0)
  }
  if (reply === 1) return storedAs(version)
  if (reply === 2) return EXISTS
  if (reply === 0) return MISSING
  throw new ProtocolError(`an answer that is none to ${op}`)
}

const storedAs = (version: string | undefined): Reply =>
  version === undefined ? OK : replyOf('ok', { version, asOf: 0 }, undefined, 0)
