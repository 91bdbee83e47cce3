/** A flight as one call of a script, for clients of others: one call is carried out as a whole or not at all, whatever they do. */
import { isAscii } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { Command, Reply, Value } from '../../wire.js'
import { ProtocolError } from '../../socket/codec.js'
import { EXISTS, MISSING, OK, OUT_OF_MEMORY, replyOf, TOO_LARGE } from '../../reply.js'
import { headOf, HEAD_LENGTH, itemIn, prefixOf, readReply, type Versions } from '../item.js'
import { isOutOfMemory } from '../refusals.js'
import { largestValueBytes } from '../traits.js'

/**
 * First the name of this call, which the answer ends with: a library that took one call's answer for another's would show one
 * session to another. Then for each key four arguments: the command; what its value must begin with (or the digest of one
 * without a head); the seconds to live; the new value.
 *
 * Answers for each key 1 (done), 2 (exists, or another version), 0 (missing), 3 (this very write was done before: somebody has
 * sent it twice), the item, or a list with an error.
 */
export const FLIGHT_SCRIPT = `\
local answers = {}
for i, key in ipairs(KEYS) do
  local op, head, ttl, value = ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i], ARGV[4 * i + 1]
  local answer
  if op == 'none' then
    answer = 1
  elseif op == 'get' then
    answer = redis.pcall('GET', key)
  elseif op == 'delete' then
    answer = redis.pcall('DEL', key)
  elseif op == 'set' then
    answer = redis.pcall('SET', key, value, 'EX', ttl)
  else
    local found = redis.pcall('GET', key)
    if type(found) == 'table' then
      answer = found
    elseif found and value ~= '' and string.sub(found, 1, ${HEAD_LENGTH}) == string.sub(value, 1, ${HEAD_LENGTH}) then
      answer = 3
    elseif op == 'add' then
      if found then answer = 2 else answer = redis.pcall('SET', key, value, 'EX', ttl) end
    elseif not found then
      answer = 0
    elseif op == 'touch' then
      answer = redis.pcall('EXPIRE', key, ttl)
      if answer == 1 then answer = found end
    else
      local known = string.sub(found, 1, #head)
      if string.sub(head, 1, 1) == '#' then known = '#' .. redis.sha1hex(found) end
      if known ~= head then
        answer = 2
      elseif op == 'cad' then
        answer = redis.pcall('DEL', key)
      else
        answer = redis.pcall('SET', key, value, 'EX', ttl)
      end
    end
  end
  if type(answer) == 'table' then
    if answer.err then answer = { answer.err } else answer = 1 end
  end
  answers[i] = answer or 0
end
answers[#KEYS + 1] = ARGV[1]
return answers
`

export const FLIGHT_SHA = createHash('sha1').update(FLIGHT_SCRIPT).digest('hex')

/** A flight as it is sent, and what it takes to read the answer. */
export interface FlightCall {
  /** Of no other call. */
  readonly name: string
  readonly keys: readonly string[]
  readonly args: readonly (string | Buffer)[]
  /** What each command would store is of this version. */
  readonly versions: readonly (string | undefined)[]
  readonly tooLarge: readonly boolean[]
}

export function flightCall(commands: readonly Command[], drawn: Versions): FlightCall {
  drawn.begin()
  const name = drawn.next()
  const args: (string | Buffer)[] = [name]
  const versions: (string | undefined)[] = []
  const tooLarge: boolean[] = []
  for (const command of commands) {
    const isTooLarge = 'value' in command && command.value.length > largestValueBytes(command.key)
    const version = 'value' in command && !isTooLarge ? drawn.next() : undefined
    versions.push(version)
    tooLarge.push(isTooLarge)
    args.push(
      isTooLarge ? 'none' : command.op,
      'cas' in command ? headOf(command.cas.version) : '',
      'ttlSec' in command ? String(command.ttlSec) : '',
      'value' in command && version !== undefined ? itemOf(prefixOf(version, command.flags), command.value) : '',
    )
  }
  return { name, keys: commands.map(({ key }) => key), args, versions, tooLarge }
}

const itemOf = (prefix: string, value: Value): Buffer =>
  Buffer.concat([Buffer.from(prefix, 'latin1'), typeof value === 'string' ? Buffer.from(value, 'latin1') : value])

/** What became of a command that has no reply. */
export type Shortfall = { readonly kind: 'error'; readonly text: string } | { readonly kind: 'twice' }

export const isReply = (outcome: Reply | Shortfall): outcome is Reply => 'status' in outcome

/** @throws ProtocolError: it is no answer to this call. */
export function outcomesOf(commands: readonly Command[], call: FlightCall, answer: unknown): readonly (Reply | Shortfall)[] {
  if (!Array.isArray(answer) || answer.length !== commands.length + 1 || String(answer.at(-1)) !== call.name) throw new ProtocolError('an answer of the script that is none')
  return commands.map((command, index) => outcomeOf(command, answer[index], call.versions[index], call.tooLarge[index] === true))
}

function outcomeOf({ op }: Command, answer: unknown, version: string | undefined, isTooLarge: boolean): Reply | Shortfall {
  if (Array.isArray(answer)) {
    const text = String(answer[0])
    return isOutOfMemory(text) && (op === 'add' || op === 'set' || op === 'cas') ? OUT_OF_MEMORY : { kind: 'error', text }
  }
  if (isTooLarge) return TOO_LARGE
  if (Buffer.isBuffer(answer)) {
    const reply = readReply(itemIn({ bytes: answer, text: answer.toString('latin1'), isAscii: isAscii(answer) }, 0, answer.length))
    return op === 'touch' ? replyOf('ok', reply.cas, undefined, 0) : reply
  }
  switch (Number(answer)) {
    case 0:
      return MISSING
    case 1:
      return version === undefined ? OK : replyOf('ok', { version, asOf: 0 }, undefined, 0)
    case 2:
      return EXISTS
    case 3:
      return { kind: 'twice' }
    default:
      throw new ProtocolError(`an answer that is none to ${op}`)
  }
}
