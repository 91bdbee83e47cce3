/** Answers to the two flights of a cycle by text, and whether the short way of reading comes to what the general one does. */
import { Socket } from 'node:net'
import { SeededRandom, VirtualClock } from 'latchkey/testing'
import { endCommands, endReplies, startCommands, startReplies } from '../../../src/wire/cycle.js'
import { EndFlight, StartFlight } from '../../../src/wire/socket/cycle-flights.js'
import { CommandFlight, type Flight } from '../../../src/wire/socket/flight.js'
import { createTextCodec } from '../../../src/wire/memcached/text-codec.js'
import { FlightError, type Receiver, type Reply, valueBytes } from '../../../src/wire/wire.js'
import { mutate, pieces } from '../../fuzz/mutate.js'

const KEYS = { lockKey: 'session-lck', recordKey: 'session' }
const TOKEN = '{"token":"a-1.2","host":"web"}'
const VERSIONS = { lockVersion: '71', recordVersion: '70', asOf: 1 }
const CASES = { lockCas: { version: '71', asOf: 1 }, recordCas: { version: '70', asOf: 1 } }
/** The name of the token, which no other token begins with. */
const NAME = '{"token":"a-1.2"'
const CHANGE = { value: 'changed', flags: 7, ttlSec: 60 }

const lockLine = (flags = '0', length = String(TOKEN.length), cas = '71'): string => `VA ${length} ksession-lck f${flags} c${cas}\r\n`
const LOCKED = `STORED\r\n${lockLine()}${TOKEN}\r\n`
const NO_LOCK = 'EN ksession-lck\r\n'
const NO_MARK = 'EN kmarks-lck\r\n'
const NO_RECORD = 'EN ksession\r\n'
const NO_MEMORY = 'SERVER_ERROR out of memory writing get response\r\n'
const RECORD = 'VA 6 ksession f5 c70\r\nrecord\r\n'

/** What may answer a start; the first two are plain success. */
export const STARTS: Readonly<Record<string, string>> = {
  'with a record': `${LOCKED}${RECORD}`,
  'without a record': `${LOCKED}${NO_RECORD}`,
  'with a record that is not ASCII': `${LOCKED}VA 6 ksession f5 c70\r\nr\xc3\xa9cor\r\n`,
  'with a record of no bytes': `${LOCKED}VA 0 ksession f5 c70\r\n\r\n`,
  'with a record that looks like an answer': `${LOCKED}VA 12 ksession f5 c70\r\nEN ksession\r\n\r\n`,
  'the lock is taken': `NOT_STORED\r\nVA 1 ksession-lck f0 c71\r\n1\r\n${RECORD}`,
  'the lock is taken by a token of the same length': `NOT_STORED\r\n${lockLine()}${TOKEN.replace('1.2', '1.3')}\r\n${RECORD}`,
  'the lock is taken by the very same token': `EXISTS\r\n${lockLine()}${TOKEN}\r\n${RECORD}`,
  'the lock was lost again': `STORED\r\n${NO_LOCK}${RECORD}`,
  'the lock and the record are gone': `STORED\r\n${NO_LOCK}${NO_RECORD}`,
  'the lock was taken over by another token': `STORED\r\n${lockLine()}${TOKEN.replace('1.2', '1.3')}\r\n${RECORD}`,
  'the lock was taken over by a token of another host': `STORED\r\n${lockLine()}${TOKEN.replace('web', 'wet')}\r\n${RECORD}`,
  'the lock was taken over by a shorter token': `STORED\r\n${lockLine('0', '5')}other\r\n${RECORD}`,
  'the lock was taken over by a longer token': `STORED\r\n${lockLine('0', String(TOKEN.length + 1))}${TOKEN}+\r\n${RECORD}`,
  'a lock longer than was said': `STORED\r\n${lockLine('0', String(TOKEN.length - 1))}${TOKEN}\r\n${RECORD}`,
  'a lock shorter than was said': `STORED\r\n${lockLine('0', String(TOKEN.length + 1))}${TOKEN}\r\n${RECORD}`,
  'the lock has flags': `STORED\r\n${lockLine('9')}${TOKEN}\r\n${RECORD}`,
  'a lock whose key is not said to be one': `STORED\r\n${lockLine().replace(' k', ' x')}${TOKEN}\r\n${RECORD}`,
  'another key than the lock': `STORED\r\n${lockLine().replace('lck', 'lcx')}${TOKEN}\r\n${RECORD}`,
  'another key than the record': `${LOCKED}${RECORD.replace('session', 'sessiom')}`,
  'another word than VA': `${LOCKED}${RECORD.replace('VA', 'VB')}`,
  'a length that runs into the key': `${LOCKED}${RECORD.replace(' k', '-k')}`,
  'a key that is not said to be one': `${LOCKED}${RECORD.replace(' k', ' x')}`,
  'a key that runs into its flags': `${LOCKED}${RECORD.replace(' f', '-f')}`,
  'flags that run into the version': `${LOCKED}${RECORD.replace(' c', '-c')}`,
  'a key that only begins as the record': `${LOCKED}${RECORD.replace('session', 'session2')}`,
  'a server without versions': `STORED\r\n${lockLine('0', undefined, '0')}${TOKEN}\r\nVA 6 ksession f5 c0\r\nrecord\r\n`,
  'no version of the lock': `STORED\r\n${lockLine('0', undefined, '0')}${TOKEN}\r\n${RECORD}`,
  'no version of the record': `${LOCKED}${RECORD.replace('70', '0')}`,
  'a version that is not said to be one': `${LOCKED}${RECORD.replace(' c', ' x')}`,
  'a lock version that is none': `STORED\r\n${lockLine('0', undefined, '7x')}${TOKEN}\r\n${RECORD}`,
  'a record version that is none': `${LOCKED}${RECORD.replace('70', '7x')}`,
  'flags that are none': `${LOCKED}${RECORD.replace('f5', 'fx')}`,
  'a length that is none': `${LOCKED}${RECORD.replace('6', 'x')}`,
  'a record longer than was said': `${LOCKED}${RECORD.replace('6', '5')}`,
  'a record shorter than was said': `${LOCKED}${RECORD.replace('6', '7')}`,
  'a third value': `${LOCKED}${RECORD}${RECORD}`,
  'a record that is marked as out of date': `${LOCKED}${RECORD.replace('70', '70 W X')}`,
  // Of so many bytes that a line end stands there in what came before.
  'a short record that is marked as out of date': `${LOCKED}VA 5 ksession f5 c70 W X\r\nrecor\r\n`,
  'a version with more than one space behind it': `${LOCKED}${RECORD.replace('70', '7x W')}`,
  'a line end that is none': `${LOCKED}${RECORD.replace('record\r\n', 'record\n\n')}`,
  'no record, by an older release': `${LOCKED}EN\r\n`,
  'no record of another key': `${LOCKED}EN ksessiom\r\n`,
  'no record of a longer key': `${LOCKED}EN ksession2\r\n`,
  'no such word': `${LOCKED}ENX\r\n`,
  'an error in place of the values': `STORED\r\n${NO_MEMORY}${NO_MEMORY}`,
  'an error in place of the record': `${LOCKED}${NO_MEMORY}`,
  'an error in place of all': 'SERVER_ERROR busy\r\n'.repeat(3),
  'memory is out': `SERVER_ERROR out of memory storing object\r\n${NO_LOCK}${NO_RECORD}`,
}

const MARK_KEY = 'marks-lck'
const MARK = 'VA 5 kmarks-lck f0 c64\r\nwhole\r\n'

/** What may answer a start that asks for a mark as well. */
export const MARKED_STARTS: Readonly<Record<string, string>> = {
  'with mark and record': `${LOCKED}${MARK}${RECORD}`,
  'with a mark, without a record': `${LOCKED}${MARK}${NO_RECORD}`,
  'with another mark': `${LOCKED}${MARK.replace('whole', 'piece')}${RECORD}`,
  'with a mark of another version': `${LOCKED}${MARK.replace('64', '65')}${RECORD}`,
  'with a mark of another length': `${LOCKED}${MARK.replace('5', '7').replace('whole', 'emptied')}${RECORD}`,
  'with a mark that is not ASCII': `${LOCKED}${MARK.replace('whole', 'wh\xf6le')}${RECORD}`,
  'with a mark that is marked as out of date': `${LOCKED}${MARK.replace('64', '64 W X')}${RECORD}`,
  'with a mark of no bytes': `${LOCKED}${MARK.replace('5', '0').replace('whole', '')}${RECORD}`,
  'without a mark': `${LOCKED}${NO_MARK}${RECORD}`,
  'without mark and record': `${LOCKED}${NO_MARK}${NO_RECORD}`,
  'the mark is behind the record': `${LOCKED}${RECORD}${MARK}`,
  'two marks': `${LOCKED}${MARK}${MARK}${RECORD}`,
  'another key than the mark': `${LOCKED}${MARK.replace('marks', 'marky')}${RECORD}`,
  'a key that only begins as the mark': `${LOCKED}${MARK.replace('-lck', '-lck2')}${RECORD}`,
  'a mark with a version that is none': `${LOCKED}${MARK.replace('64', '6x')}${RECORD}`,
  'a mark with flags that are none': `${LOCKED}${MARK.replace('f0', 'fx')}${RECORD}`,
  'a mark longer than was said': `${LOCKED}${MARK.replace('5', '4')}${RECORD}`,
  'a mark shorter than was said': `${LOCKED}${MARK.replace('5', '6')}${RECORD}`,
  'another word than VA before the mark': `${LOCKED}${MARK.replace('VA', 'VB')}${RECORD}`,
  'the lock is taken, and the node marked': `NOT_STORED\r\nVA 1 ksession-lck f0 c71\r\n1\r\n${MARK}${RECORD}`,
  'an error in place of mark and record': `${LOCKED}${NO_MEMORY}${NO_MEMORY}`,
}

/** Cut in its value and come again, it must not pass for what stood before the cut. */
const MARKED_TWICE = { 'a mark with an end in it': `${LOCKED}${MARK.replace('5', '8').replace('whole', 'wh\r\nEN\r\n')}${RECORD}`.repeat(2) }

/** Those after which the connection is given up: of both ways of reading, which read an item by the same function. */
const BROKEN: readonly string[] = [
  ...['a lock whose key is not said to be one', 'another key than the lock', 'another key than the record'],
  ...['another word than VA', 'a key that only begins as the record'],
  ...['a length that runs into the key', 'a key that is not said to be one', 'a key that runs into its flags', 'flags that run into the version'],
  ...['a version that is not said to be one'],
  ...['a lock version that is none', 'a record version that is none', 'a version with more than one space behind it', 'flags that are none'],
  ...['a length that is none', 'a record longer than was said', 'a third value', 'a line end that is none'],
  ...['no record of another key', 'no record of a longer key', 'no such word', 'the mark is behind the record', 'two marks'],
  ...['another key than the mark', 'a key that only begins as the mark', 'a mark with a version that is none', 'a mark with flags that are none'],
  ...['a mark longer than was said', 'another word than VA before the mark'],
]

/** Those that are plain, though not every release says them. */
const WHOLE: readonly string[] = ['a record that is marked as out of date', 'no record, by an older release']

/** What may answer an end; the first one is plain success. */
export const ENDS: Readonly<Record<string, string>> = {
  'all well': 'STORED\r\nHD\r\n',
  'the record has changed': 'EXISTS\r\nHD\r\n',
  'the record is gone': 'NOT_FOUND\r\nHD\r\n',
  'the lock has changed': 'STORED\r\nEX\r\n',
  'the lock is gone': 'STORED\r\nNF\r\n',
  'the record is too large': 'SERVER_ERROR object too large for cache\r\nHD\r\n',
  'errors': 'SERVER_ERROR busy\r\nSERVER_ERROR busy\r\n',
  'an answer to another command': 'STORED\r\nOK\r\n',
}

type FlightOf = (receiver: Receiver, note: (replies: Reply[]) => void) => Flight

/** What came of an answer, in words; a Buffer and a text of the same bytes are the same. */
function told(flightOf: FlightOf, chunks: readonly Buffer[], before: Kind['before'] = 'nothing'): string {
  const said: unknown[] = []
  const codec = createTextCodec({ socket: new Socket(), credentials: undefined, clock: new VirtualClock() })
  const nobody = { landed: () => undefined, failed: () => undefined }
  if (before !== 'nothing') codec.encode([flightOf(nobody, () => undefined)])
  if (before === 'another answer') codec.feed(Buffer.from(MARKED_STARTS['with mark and record'] ?? ''))
  const note = (replies: Reply[]): void => void said.push(replies.map(({ value, cas, ...rest }, at) => {
    // Nobody asks for the version of a mark.
    const version = at === 1 && replies.length === 3 ? {} : { cas }
    return { ...rest, ...version, value: value && valueBytes(value).toString('latin1') }
  }))
  const failed = (error: unknown): void => void said.push(error instanceof FlightError ? error.message : error)
  const flight = flightOf({ landed: note, failed }, note)
  flight.asOf = 3
  // An error of the server is told later, and the flight is settled at once.
  codec.encode([flight, new CommandFlight([{ op: 'delete', key: 'next' }], { landed: note, failed })])
  try {
    for (const chunk of chunks) codec.feed(Buffer.from(chunk))
  } catch (error) {
    said.push(String(error))
  }
  return JSON.stringify([said, flight.settled, codec.due > 0])
}

const startWith = (markKey: string | undefined) => (receiver: Receiver, note: (replies: Reply[]) => void): StartFlight =>
  new StartFlight(
    { ...KEYS, markKey, tokenName: NAME, tokenRest: TOKEN.slice(NAME.length), leaseSec: 15, ...receiver, started: (found) => note(startReplies(found)) },
    { queue: () => undefined },
  )

const start = startWith(undefined)
const markedStart = startWith(MARK_KEY)

const end = (receiver: Receiver, note: (replies: Reply[]) => void): EndFlight =>
  new EndFlight(KEYS, VERSIONS, { ...CHANGE, ...receiver, ended: () => note(endReplies(2)) })

const generalStart = (markKey: string | undefined) => (receiver: Receiver): Flight => {
  const { receiver: asked } = startWith(markKey)(receiver, () => undefined)
  return new CommandFlight(startCommands(asked), receiver)
}

const generalEnd = (receiver: Receiver): Flight => {
  const { receiver: asked } = end(receiver, () => undefined)
  return new CommandFlight(endCommands(KEYS, CASES, asked), receiver)
}

interface Kind {
  readonly answers: Readonly<Record<string, string>>
  readonly short: FlightOf
  readonly general: FlightOf
  /** What the connection was asked for before: `a flight` is answered by the first part of what arrives. */
  readonly before?: 'nothing' | 'another answer' | 'a flight'
}

const KINDS: readonly Kind[] = [
  { answers: STARTS, short: start, general: generalStart(undefined) },
  { answers: MARKED_STARTS, short: markedStart, general: generalStart(MARK_KEY) },
  { answers: MARKED_STARTS, short: markedStart, general: generalStart(MARK_KEY), before: 'another answer' },
  { answers: MARKED_TWICE, short: markedStart, general: generalStart(MARK_KEY), before: 'a flight' },
  { answers: ENDS, short: end, general: generalEnd },
]

/**
 * The answers of which the two ways of reading come to different things, one after the other: none, if all is right.
 * Whole answers come first: they show most of what may be wrong, and whoever looks for one difference need not read on.
 */
export function *differences(): Generator<string, void> {
  const random = new SeededRandom(13)
  const cases = KINDS.flatMap(({ answers, ...kind }) =>
    // `DELETED` is the answer to what comes behind it.
    Object.entries(answers).map(([name, text]) => ({ kind, name, bytes: Buffer.from(`${text}DELETED\r\n`, 'latin1') })))
  for (const { kind, name, bytes } of cases) {
    yield* compared(name, kind, [bytes])
    if (BROKEN.includes(name) && !told(kind.short, [bytes]).includes('ProtocolError')) yield `${name}: it was taken`
    if (WHOLE.includes(name) && told(kind.short, [bytes]).includes('ProtocolError')) yield `${name}: it was refused`
  }
  for (const { kind, name, bytes } of cases) {
    for (let at = 1; at < bytes.length; at++) yield* compared(`${name}, cut at ${String(at)}`, kind, [bytes.subarray(0, at), bytes.subarray(at)])
    for (let round = 0; round < 20; round++) yield* compared(`${name}, in shreds`, kind, [...pieces(mutate(bytes, random), random)])
  }
}

function *compared(name: string, { short, general, before }: Omit<Kind, 'answers'>, chunks: readonly Buffer[]): Generator<string, void> {
  const [wanted, is] = [told(general, chunks, before), told(short, chunks, before)]
  if (is !== wanted) yield `${name}: ${is} in place of ${wanted}`
}
