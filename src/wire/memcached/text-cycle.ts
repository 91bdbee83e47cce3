/**
 * The two flights of a locked cycle in the text protocol: how they are asked for, and what plain success looks like.
 *
 * A reply is taken whole or not at all. One that is another, or is not all there, is left to the general way of reading
 * from its first byte on: nothing of an anomaly is judged here.
 */
import type { CycleKeys, CycleStart } from '../cycle.js'
import type { EndFlight, StartFlight } from '../socket/cycle-flights.js'
import { type Arrived, numberIn, SPACE, valueIn } from '../socket/arrived.js'
import type { Value } from '../wire.js'
import { versionIn } from './version.js'
import type { TextWords } from './text-words.js'

const LOCKED = 'STORED\r\nVALUE '
const NO_FLAGS = ' 0 '
const LINE_END = '\r\n'
const VALUE = 'VALUE '
const END = 'END\r\n'
const STORED = 'STORED\r\n'

/** Keeps the last of the texts that `make` makes: nearly all flights have the same, and each part of a text is an object. */
function kept(make: (exptime: number, length: number) => string): (exptime: number, length: number) => string {
  let [text, exptime, length] = ['', NaN, NaN]
  return (newExptime, newLength) => {
    if (newExptime === exptime && newLength === length) return text
    ;[exptime, length] = [newExptime, newLength]
    return (text = make(exptime, length))
  }
}

const lockMiddle = kept((exptime, length) => `${NO_FLAGS}${exptime} ${length}\r\n`)
const recordMiddle = kept((exptime, length) => ` ${exptime} ${length} `)

/** The `gets` tells the version of the lock, and that of the record as it is under the lock. */
export function startText({ lockKey, recordKey, markKey, tokenName, tokenRest }: CycleStart, exptime: number): string {
  const add = `add ${lockKey}${lockMiddle(exptime, tokenName.length + tokenRest.length)}${tokenName}${tokenRest}\r\ngets ${lockKey} `
  return markKey === undefined ? `${add}${recordKey}\r\n` : `${add}${markKey} ${recordKey}\r\n`
}

/** A mark as it was read last on this connection. It is nearly always the same: then its answer is only compared. */
export class KeptMark {
  key = ''
  /** All of its answer: VALUE, its key, its version and the value. */
  answer = ''
  value: Value | undefined
}

/** The parts before and behind the value. */
export const endHead = ({ keys, versions, receiver: { flags, value } }: EndFlight, exptime: number): string =>
  `cas ${keys.recordKey} ${flags}${recordMiddle(exptime, value.length)}${versions.recordVersion}\r\n`

export const endTail = ({ lockKey }: CycleKeys, lockVersion: string, words: TextWords): string => LINE_END + words.cad(lockKey, lockVersion)

/**
 * Takes, from `at`, what answers a start that went well:
 *
 *     STORED
 *     VALUE <lock> 0 <bytes> <cas>
 *     <our token>
 *     VALUE <mark> <flags> <bytes> <cas>      where one is asked for
 *     <the mark>
 *     VALUE <record> <flags> <bytes> <cas>
 *     <the record>
 *     END
 *
 * or the same without the record. Returns where it ends; 0 when it is not that, or not all there.
 */
export function takeStart(flight: StartFlight, arrived: Arrived, at: number, kept: KeptMark): number {
  const { text, bytes } = arrived
  const { lockKey, markKey, tokenName, tokenRest } = flight.receiver
  const keyAt = at + LOCKED.length
  const keyEnd = keyAt + lockKey.length
  const lengthAt = keyEnd + NO_FLAGS.length
  if (text.slice(at, keyAt) !== LOCKED || text.slice(keyAt, keyEnd) !== lockKey || text.slice(keyEnd, lengthAt) !== NO_FLAGS) return 0
  const lengthEnd = text.indexOf(' ', lengthAt)
  const lineEnd = text.indexOf(LINE_END, lengthEnd)
  const tokenAt = lineEnd + LINE_END.length
  const nameEnd = tokenAt + tokenName.length
  const tokenEnd = nameEnd + tokenRest.length
  // Between the add and the read anybody could have written: the version is ours only if the token is.
  if (text.slice(tokenAt, nameEnd) !== tokenName || text.slice(nameEnd, tokenEnd) !== tokenRest) return 0
  if (numberIn(bytes, lengthAt, lengthEnd) !== tokenEnd - tokenAt) return 0
  const lockVersion = versionIn(arrived, lengthEnd + 1, lineEnd)
  if (lockVersion === undefined) return 0
  let valueEnd = tokenEnd
  if (markKey !== undefined) {
    valueEnd = takeMark(markKey, arrived, tokenEnd, kept)
    if (valueEnd === 0) return 0
    flight.mark = kept.value
  }
  const recordAt = valueEnd + LINE_END.length
  if (text.slice(valueEnd, recordAt + END.length) === LINE_END + END) {
    flight.started(lockVersion)
    return recordAt + END.length
  }
  if (text.slice(valueEnd, recordAt + VALUE.length) !== LINE_END + VALUE) return 0
  return takeRecord(flight, arrived, recordAt + VALUE.length, lockVersion)
}

/** From the end of the value before it to that of its own. */
function takeMark(key: string, arrived: Arrived, at: number, kept: KeptMark): number {
  const { text, bytes } = arrived
  const keptEnd = at + kept.answer.length
  if (key === kept.key && text.slice(at, keptEnd) === kept.answer) return keptEnd
  const keyAt = at + LINE_END.length + VALUE.length
  if (text.slice(at, keyAt) !== LINE_END + VALUE) return 0
  const item = itemAt(key, arrived, keyAt)
  if (item === undefined || text.slice(item.valueEnd, item.valueEnd + LINE_END.length) !== LINE_END) return 0
  kept.key = key
  // A copy, as a slice of the text would keep all of it in memory.
  kept.answer = bytes.toString('latin1', at, item.valueEnd)
  kept.value = valueIn(arrived, item.valueAt, item.valueEnd)
  return item.valueEnd
}

function takeRecord(flight: StartFlight, arrived: Arrived, keyAt: number, lockVersion: string): number {
  const item = itemAt(flight.receiver.recordKey, arrived, keyAt)
  if (item === undefined) return 0
  const { valueAt, valueEnd, version, flags } = item
  const end = valueEnd + LINE_END.length + END.length
  if (arrived.text.slice(valueEnd, end) !== LINE_END + END) return 0
  flight.started(lockVersion, version, valueIn(arrived, valueAt, valueEnd), flags)
  return end
}

interface Item {
  readonly flags: number
  readonly version: string
  readonly valueAt: number
  readonly valueEnd: number
}

/** Reads `<key> <flags> <bytes> <cas>`; undefined when it is not that. What stands behind the value is not looked at. */
function itemAt(key: string, arrived: Arrived, keyAt: number): Item | undefined {
  const { text, bytes } = arrived
  const flagsAt = keyAt + key.length + 1
  if (text.slice(keyAt, flagsAt - 1) !== key || bytes[flagsAt - 1] !== SPACE) return undefined
  const flagsEnd = text.indexOf(' ', flagsAt)
  const lengthEnd = text.indexOf(' ', flagsEnd + 1)
  const lineEnd = text.indexOf(LINE_END, lengthEnd)
  const flags = numberIn(bytes, flagsAt, flagsEnd)
  const valueAt = lineEnd + LINE_END.length
  const valueEnd = valueAt + numberIn(bytes, flagsEnd + 1, lengthEnd)
  const version = versionIn(arrived, lengthEnd + 1, lineEnd)
  if (!(flags >= 0) || !(valueEnd >= valueAt) || version === undefined) return undefined
  return { flags, version, valueAt, valueEnd }
}

/** The same of an end: its record stored, its lock deleted. */
export function takeEnd(flight: EndFlight, { text }: Arrived, at: number, { deleted }: TextWords): number {
  const deletedAt = at + STORED.length
  const end = deletedAt + deleted.length
  if (text.slice(at, deletedAt) !== STORED || text.slice(deletedAt, end) !== deleted) return 0
  flight.ended()
  return end
}
