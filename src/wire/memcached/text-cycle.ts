/**
 * The two flights of a locked cycle in the text protocol: how they are asked for, and what plain success looks like.
 *
 * A reply is taken whole or not at all. One that is another, or is not all there, is left to the general way of reading
 * from its first byte on: nothing of an anomaly is judged here.
 */
import type { CycleKeys, CycleStart } from '../cycle.js'
import type { EndFlight, StartFlight } from '../socket/cycle-flights.js'
import { type Arrived, numberIn, SPACE, valueIn } from '../socket/arrived.js'
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
export const startText = ({ lockKey, recordKey, tokenName, tokenRest }: CycleStart, exptime: number): string =>
  `add ${lockKey}${lockMiddle(exptime, tokenName.length + tokenRest.length)}${tokenName}${tokenRest}\r\ngets ${lockKey} ${recordKey}\r\n`

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
 *     VALUE <record> <flags> <bytes> <cas>
 *     <the record>
 *     END
 *
 * or the same without the record. Returns where it ends; 0 when it is not that, or not all there.
 */
export function takeStart(flight: StartFlight, arrived: Arrived, at: number): number {
  const { text, bytes } = arrived
  const { lockKey, tokenName, tokenRest } = flight.receiver
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
  const recordAt = tokenEnd + LINE_END.length
  if (text.slice(tokenEnd, recordAt + END.length) === LINE_END + END) {
    flight.started(lockVersion)
    return recordAt + END.length
  }
  if (text.slice(tokenEnd, recordAt + VALUE.length) !== LINE_END + VALUE) return 0
  return takeRecord(flight, arrived, recordAt + VALUE.length, lockVersion)
}

function takeRecord(flight: StartFlight, arrived: Arrived, keyAt: number, lockVersion: string): number {
  const { text, bytes } = arrived
  const { recordKey } = flight.receiver
  const flagsAt = keyAt + recordKey.length + 1
  if (text.slice(keyAt, flagsAt - 1) !== recordKey || bytes[flagsAt - 1] !== SPACE) return 0
  const flagsEnd = text.indexOf(' ', flagsAt)
  const lengthEnd = text.indexOf(' ', flagsEnd + 1)
  const lineEnd = text.indexOf(LINE_END, lengthEnd)
  const flags = numberIn(bytes, flagsAt, flagsEnd)
  const valueAt = lineEnd + LINE_END.length
  const valueEnd = valueAt + numberIn(bytes, flagsEnd + 1, lengthEnd)
  const end = valueEnd + LINE_END.length + END.length
  const version = versionIn(arrived, lengthEnd + 1, lineEnd)
  if (!(flags >= 0) || version === undefined || text.slice(valueEnd, end) !== LINE_END + END) return 0
  flight.started(lockVersion, version, valueIn(arrived, valueAt, valueEnd), flags)
  return end
}

/** The same of an end: its record stored, its lock deleted. */
export function takeEnd(flight: EndFlight, { text }: Arrived, at: number, { deleted }: TextWords): number {
  const deletedAt = at + STORED.length
  const end = deletedAt + deleted.length
  if (text.slice(at, deletedAt) !== STORED || text.slice(deletedAt, end) !== deleted) return 0
  flight.ended()
  return end
}
