/**
 * The two flights of a locked cycle in the text protocol: how they are asked for, and what plain success looks like.
 *
 * A reply is taken whole or not at all. One that is another, or is not all there, is left to the general way of reading
 * from its first byte on: nothing of an anomaly is judged here.
 */
import type { Cas } from '../wire.js'
import type { CycleEnd, CycleKeys, CycleStart, CycleVersions } from '../cycle.js'
import type { EndFlight, StartFlight } from './flight.js'
import { type Arrived, numberIn, SPACE, valueIn, versionIn } from './text-bytes.js'
import type { TextWords } from './text-words.js'

const LOCKED = 'STORED\r\nVALUE '
const NO_FLAGS = ' 0 '
const LINE_END = '\r\n'
const VALUE = 'VALUE '
const END = 'END\r\n'
const STORED = 'STORED\r\n'

/** The `gets` tells the version of the lock, and that of the record as it is under the lock. */
export const startText = ({ lockKey, recordKey, token }: CycleStart, exptime: number): string =>
  `add ${lockKey} 0 ${exptime} ${token.length}\r\n${token}\r\ngets ${lockKey} ${recordKey}\r\n`

/** The parts before and behind the value. */
export const endHead = ({ recordKey }: CycleKeys, { recordCas }: CycleVersions, { flags, value }: CycleEnd, exptime: number): string =>
  `cas ${recordKey} ${flags} ${exptime} ${value.length} ${recordCas.version}\r\n`

export const endTail = ({ lockKey }: CycleKeys, { lockCas }: CycleVersions, words: TextWords): string =>
  LINE_END + words.cad(lockKey, lockCas.version)

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
  const { lockKey, token } = flight.receiver
  const keyAt = at + LOCKED.length
  const keyEnd = keyAt + lockKey.length
  const lengthAt = keyEnd + NO_FLAGS.length
  if (text.slice(at, keyAt) !== LOCKED || text.slice(keyAt, keyEnd) !== lockKey || text.slice(keyEnd, lengthAt) !== NO_FLAGS) return 0
  const lengthEnd = text.indexOf(' ', lengthAt)
  const lineEnd = text.indexOf(LINE_END, lengthEnd)
  const tokenAt = lineEnd + LINE_END.length
  const tokenEnd = tokenAt + token.length
  // Between the add and the read anybody could have written: the version is ours only if the token is.
  if (numberIn(bytes, lengthAt, lengthEnd) !== token.length || text.slice(tokenAt, tokenEnd) !== token) return 0
  const lockCas = versionIn(arrived, lengthEnd + 1, lineEnd, flight.asOf)
  if (lockCas === undefined) return 0
  const recordAt = tokenEnd + LINE_END.length
  if (text.slice(tokenEnd, recordAt + END.length) === LINE_END + END) {
    flight.started(lockCas, undefined)
    return recordAt + END.length
  }
  if (text.slice(tokenEnd, recordAt + VALUE.length) !== LINE_END + VALUE) return 0
  return takeRecord(flight, arrived, recordAt + VALUE.length, lockCas)
}

function takeRecord(flight: StartFlight, arrived: Arrived, keyAt: number, lockCas: Cas): number {
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
  const cas = versionIn(arrived, lengthEnd + 1, lineEnd, flight.asOf)
  if (!(flags >= 0) || cas === undefined || text.slice(valueEnd, end) !== LINE_END + END) return 0
  flight.started(lockCas, { bytes: valueIn(arrived, valueAt, valueEnd), flags, cas })
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
