/** A codec, flights that it wrote, and a server that answers them: properly, out of order, or in shreds. */
import { Socket } from 'node:net'
import { type SeededRandom, VirtualClock } from 'latchkey/testing'
import { createBinaryCodec } from '../../src/wire/memcached/binary-codec.js'
import { AuthenticationError, type Codec, ProtocolError } from '../../src/wire/socket/codec.js'
import { CommandFlight } from '../../src/wire/socket/flight.js'
import { createPortableCodec, createTextCodec } from '../../src/wire/memcached/text-codec.js'
import { handshakeWith } from '../../src/wire/redis/handshake.js'
import { RedisCodec } from '../../src/wire/redis/redis-codec.js'
import { systemRandom } from '../../src/system/random.js'
import { type Cas, type Command, type Reply, areSameBytes } from '../../src/wire/wire.js'
import { binaryReply } from '../wire/memcached-scripted-server.js'
import { garbage, mutate, pieces, shuffle } from './mutate.js'

export type Dialect = 'binary' | 'text' | 'portable' | 'redis'

const KEYS = ['session-one-and-only', 'session-number-two', 'another-visitor', 'another-visitor-lck']
/** What the server holds under a key: its name, so that a value in the wrong hands is known. */
const valueOf = (key: string): Buffer => Buffer.from(`belongs to ${key}`)

interface Played {
  readonly command: Command
  readonly reply: Reply
}

/** What one run came to: the replies that were given out, and what was thrown. */
export interface CodecRun {
  readonly played: readonly Played[]
  readonly thrown: unknown
  readonly isRight: boolean
}

const HANDSHAKE = handshakeWith({ database: 0, isOfCluster: false, isWatched: false })

export function makeCodec(dialect: Dialect): Codec {
  const socket = Object.assign(new Socket(), { write: () => true })
  const context = { socket, credentials: undefined, clock: new VirtualClock() }
  if (dialect === 'redis') return new RedisCodec(context, { handshake: HANDSHAKE, random: systemRandom })
  return { binary: createBinaryCodec, text: createTextCodec, portable: createPortableCodec(() => 'probe') }[dialect](context)
}

export const isExpected = (thrown: unknown): boolean =>
  thrown === undefined || thrown instanceof ProtocolError || thrown instanceof AuthenticationError

/** Whether a message names a key, of which a session's id is a part. */
export const namesKey = (thrown: unknown): boolean => KEYS.some((key) => String(thrown).includes(key))

/** The answers as they should be, in another order or number, with bytes changed, or none of them. */
export type How = 'right' | 'disorder' | 'shreds' | 'garbage'

export function playCodec(dialect: Dialect, random: SeededRandom, how: How): CodecRun {
  const codec = makeCodec(dialect)
  const played: Played[] = []
  let isRight = true
  const flights = Array.from({ length: 1 + random.integer(3) }, () => {
    const commands = Array.from({ length: 1 + random.integer(4) }, () => commandOf(dialect, random))
    const landed = (replies: Reply[]): void => {
      if (replies.length !== commands.length) isRight = false
      commands.forEach((command, index) => {
        const reply = replies[index]
        if (reply !== undefined) played.push({ command, reply })
      })
    }
    return new CommandFlight(commands, { landed, failed: () => undefined })
  })
  const request = codec.encode(flights)
  const sent = typeof request === 'string' ? Buffer.from(request, 'latin1') : request
  const answers = answersTo(dialect, sent, random)
  let thrown: unknown
  try {
    for (const piece of pieces(bytesOf(answers, how, random), random)) codec.feed(piece)
  } catch (error) {
    thrown = error
  }
  return { played, thrown, isRight }
}

function bytesOf(answers: Buffer[], how: How, random: SeededRandom): Buffer {
  switch (how) {
    case 'right':
      return Buffer.concat(answers)
    case 'disorder': {
      const doubled = random.integer(2) === 0 ? answers : [...answers, random.pick(answers)]
      return Buffer.concat(shuffle([...doubled], random).slice(random.integer(2)))
    }
    case 'shreds':
      return mutate(Buffer.concat(answers), random)
    case 'garbage':
      return garbage(random)
  }
}

/** A value that was given out under another key than its own. */
export const isForeign = ({ command, reply }: Played): boolean =>
  KEYS.some((key) => key !== command.key && reply.value !== undefined && areSameBytes(reply.value, valueOf(key)))

function commandOf(dialect: Dialect, random: SeededRandom): Command {
  const key = random.pick(KEYS)
  const cas: Cas = { version: VERSIONS[dialect], asOf: 0 }
  const item = { key, value: valueOf(key), ttlSec: 9, flags: 0 }
  const op = random.pick(['get', 'get', 'get', 'add', 'set', 'cas', 'touch', 'delete', 'cad'] as const)
  switch (op) {
    case 'get':
    case 'delete':
      return { op, key }
    case 'touch':
      return { op, key, ttlSec: 9 }
    case 'cad':
      return { op, key, cas }
    case 'cas':
      return { op, ...item, cas, wantCas: random.integer(2) === 0 }
    default:
      return { op, ...item }
  }
}

const VERSIONS: Readonly<Record<Dialect, string>> = { binary: '0000000000000007', text: '7', portable: '7', redis: 'AAAAAAAAAA7' }

function answersTo(dialect: Dialect, sent: Buffer, random: SeededRandom): Buffer[] {
  switch (dialect) {
    case 'binary':
      return binaryAnswers(sent)
    case 'redis':
      return redisAnswers(sent.toString('latin1'), random)
    case 'text':
    case 'portable':
      return textAnswers(sent.toString('latin1'), random)
  }
}

/** An answer to each command, which is a list of strings that begin with their lengths. */
function redisAnswers(requests: string, random: SeededRandom): Buffer[] {
  const answers: string[] = []
  for (const request of requests.split(/(?=\*\d+\r\n\$\d+\r\n(?:SET|GET|DEL|EVALSHA)\r\n)/)) {
    const [, , verb, , first = '', , count, , ...rest] = request.split('\r\n')
    const bulk = (key: string): string => {
      const value = `~AAAAAAAAAA7:${valueOf(key).toString('latin1')}`
      return `$${String(value.length)}\r\n${value}\r\n`
    }
    switch (verb) {
      case 'GET':
        answers.push(random.pick([bulk(first), '$-1\r\n']))
        break
      case 'SET':
        answers.push(request.includes('\r\nNX\r\n') ? random.pick(['+OK\r\n', '$-1\r\n']) : '+OK\r\n')
        break
      case 'DEL':
        answers.push(random.pick([':0\r\n', ':1\r\n']))
        break
      case 'EVALSHA': {
        const keys = rest.filter((_, index) => index % 2 === 0).slice(0, Number(count))
        // A touch is answered with the item, which any of the answers may be where it is told apart by its arguments.
        const heads = rest.filter((_, index) => index % 2 === 0).slice(Number(count)).filter((_, index) => index % 3 === 0)
        const one = (key: string, index: number): string => (heads[index] === '' ? random.pick([bulk(key), '$-1\r\n']) : random.pick([':0\r\n', ':1\r\n', ':2\r\n']))
        answers.push(`*${count ?? ''}\r\n${keys.map(one).join('')}`)
        break
      }
    }
  }
  return answers.map((answer) => Buffer.from(answer, 'latin1'))
}

/** A message for each request, with the value of its key where it asks for one. */
function binaryAnswers(requests: Buffer): Buffer[] {
  const answers: Buffer[] = []
  for (let at = 0; at + 24 <= requests.length; at += 24 + requests.readUInt32BE(at + 8)) {
    const opcode = requests.readUInt8(at + 1)
    const keyAt = at + 24 + requests.readUInt8(at + 4)
    const key = requests.toString('latin1', keyAt, keyAt + requests.readUInt16BE(at + 2))
    const found = opcode === 0 ? { extras: Buffer.alloc(4), value: valueOf(key) } : {}
    answers.push(binaryReply({ opcode, opaque: requests.readUInt32BE(at + 12), cas: 7, ...found }))
  }
  return answers
}

/** To a read, or a touch. */
function metaAnswer([key = '', ...flags]: readonly string[], random: SeededRandom): string {
  if (!flags.includes('v')) return random.pick(['HD c7\r\n', 'EN\r\n'])
  if (random.integer(4) === 0) return random.pick(['EN\r\n', `EN k${key}\r\n`])
  const value = valueOf(key).toString('latin1')
  return `VA ${String(value.length)} k${key} f0 c7${random.pick(['', ' W X'])}\r\n${value}\r\n`
}

/** The lines that answer each line; a value and its VALUE line are one piece, and so is an END. */
function textAnswers(requests: string, random: SeededRandom): Buffer[] {
  const answers: string[] = []
  for (const line of requests.split('\r\n')) {
    const [verb, ...words] = line.split(' ')
    switch (verb) {
      case 'gets':
        for (const key of words) {
          if (random.integer(4) === 0) continue
          const value = valueOf(key).toString('latin1')
          answers.push(`VALUE ${key} 0 ${String(value.length)} 7\r\n${value}\r\n`)
        }
        answers.push('END\r\n')
        break
      case 'add':
        answers.push(random.pick(['STORED\r\n', 'NOT_STORED\r\n']))
        break
      case 'set':
        answers.push('STORED\r\n')
        break
      case 'cas':
        answers.push(random.pick(['STORED\r\n', 'EXISTS\r\n', 'NOT_FOUND\r\n']))
        break
      case 'touch':
        answers.push(random.pick(['TOUCHED\r\n', 'NOT_FOUND\r\n']))
        break
      case 'mg':
        answers.push(metaAnswer(words, random))
        break
      case 'md':
        answers.push(random.pick(['HD\r\n', 'EX\r\n', 'NF\r\n']))
        break
      case 'delete':
        answers.push(random.pick(['DELETED\r\n', 'NOT_FOUND\r\n']))
        break
    }
  }
  return answers.map((answer) => Buffer.from(answer, 'latin1'))
}
