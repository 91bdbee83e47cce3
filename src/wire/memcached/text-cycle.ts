/**
 * The two flights of a locked cycle in the text protocol: how they are asked for, and what plain success looks like.
 *
 * A reply is taken whole or not at all. One that is another, or is not all there, is left to the general way of reading
 * from its first byte on: nothing of an anomaly is judged here.
 */
import type { CycleKeys, CycleStart } from '../cycle.js'
import type { EndFlight, StartFlight } from '../socket/cycle-flights.js'
import { type Arrived, numberIn, standsAt, valueIn } from '../socket/arrived.js'
import type { Value } from '../wire.js'
import { ASK, ASKED, KEY, LINE_END, MG_ITEMS } from './text-items.js'
import type { TextWords } from './text-words.js'
import { isVersion, versionIn } from './version.js'

const LOCKED = 'STORED\r\nVA '
const LOCK_VERSION = ' f0 c'
const STORED = 'STORED\r\n'
const FIRST_ASK = LINE_END + ASK
const NEXT_ASK = ASKED + ASK

/** Keeps the last of the texts that `make` makes: nearly all flights have the same, and each part of a text is an object. */
function kept<One, Other>(make: (one: One, other: Other) => string): (one: One, other: Other) => string {
  let [lastOne, lastOther]: [One?, Other?] = []
  let text = ''
  return (one, other) => {
    if (one === lastOne && other === lastOther) return text
    lastOne = one
    lastOther = other
    return (text = make(one, other))
  }
}

const lockMiddle = kept((exptime: number, length: number) => ` 0 ${exptime} ${length}\r\n`)
const tokenTail = kept((tokenRest: string, ask: string) => tokenRest + ask)
const recordMiddle = kept((exptime: number, length: number) => ` ${exptime} ${length} `)

/** The reads tell the version of the lock, and that of the record as it is under the lock. */
export function startText({ lockKey, recordKey, markKey, tokenName, tokenRest }: CycleStart, exptime: number): string {
  const start = `add ${lockKey}${lockMiddle(exptime, tokenName.length + tokenRest.length)}${tokenName}${tokenTail(tokenRest, FIRST_ASK)}${lockKey}${NEXT_ASK}`
  return (markKey === undefined ? start : start + markKey + NEXT_ASK) + recordKey + ASKED
}

/** A mark as it was read last on this connection. It is nearly always the same: then its answer is only compared. */
export class KeptMark {
  key = ''
  /** All of its answer: its line, and the value. */
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
 *     VA <bytes> k<lock> f0 c<cas>
 *     <our token>
 *     VA <bytes> k<mark> f<flags> c<cas>      where one is asked for
 *     <the mark>
 *     VA <bytes> k<record> f<flags> c<cas>
 *     <the record>
 *
 * or the same with `EN k<record>` in place of the record. Returns where it ends; 0 when it is not that, or not all there.
 */
export function takeStart(flight: StartFlight, arrived: Arrived, at: number, kept: KeptMark): number {
  const { text, bytes } = arrived
  const { lockKey, markKey, tokenName, tokenRest } = flight.receiver
  const lengthAt = at + LOCKED.length
  const lengthEnd = text.indexOf(' ', lengthAt)
  const keyAt = lengthEnd + KEY.length
  const keyEnd = keyAt + lockKey.length
  const versionAt = keyEnd + LOCK_VERSION.length
  if (!standsAt(text, at, LOCKED) || !standsAt(text, lengthEnd, KEY)) return 0
  if (!standsAt(text, keyAt, lockKey) || !standsAt(text, keyEnd, LOCK_VERSION)) return 0
  const lineEnd = text.indexOf(LINE_END, versionAt)
  const tokenAt = lineEnd + LINE_END.length
  const nameEnd = tokenAt + tokenName.length
  const tokenEnd = nameEnd + tokenRest.length
  // Between the add and the read anybody could have written: the version is ours only if the token is.
  if (!standsAt(text, tokenAt, tokenName) || !standsAt(text, nameEnd, tokenRest)) return 0
  if (numberIn(bytes, lengthAt, lengthEnd) !== tokenEnd - tokenAt) return 0
  const lockVersion = versionIn(arrived, versionAt, lineEnd)
  if (lockVersion === undefined || !isVersion(lockVersion)) return 0
  let itemAt = pastLineEnd(text, tokenEnd)
  if (itemAt === 0) return 0
  if (markKey !== undefined) {
    itemAt = takeMark(markKey, arrived, itemAt, kept)
    if (itemAt === 0) return 0
    flight.mark = kept.value
  }
  return takeRecord(flight, arrived, itemAt, lockVersion)
}

/** 0: there is none, or it has not arrived. */
const pastLineEnd = (text: string, at: number): number => (standsAt(text, at, LINE_END) ? at + LINE_END.length : 0)

function takeMark(key: string, arrived: Arrived, at: number, kept: KeptMark): number {
  const { text, bytes } = arrived
  if (key === kept.key && standsAt(text, at, kept.answer)) return at + kept.answer.length
  const lineEnd = text.indexOf(LINE_END, at)
  const place = lineEnd < 0 ? undefined : MG_ITEMS.placeOf(key, arrived, at, lineEnd)
  const end = place === undefined ? 0 : pastLineEnd(text, place.valueEnd)
  if (place === undefined || end === 0) return 0
  kept.key = key
  // A copy, as a slice of the text would keep all of it in memory.
  kept.answer = bytes.toString('latin1', at, end)
  kept.value = valueIn(arrived, place.valueAt, place.valueEnd)
  return end
}

function takeRecord(flight: StartFlight, arrived: Arrived, at: number, lockVersion: string): number {
  const { text } = arrived
  const { recordKey } = flight.receiver
  const lineEnd = text.indexOf(LINE_END, at)
  if (lineEnd < 0) return 0
  const place = MG_ITEMS.placeOf(recordKey, arrived, at, lineEnd)
  if (place === undefined) {
    if (!MG_ITEMS.isNone(recordKey, text.slice(at, lineEnd))) return 0
    flight.started(lockVersion)
    return lineEnd + LINE_END.length
  }
  if (!isVersion(place.version)) return 0
  const end = pastLineEnd(text, place.valueEnd)
  if (end > 0) flight.started(lockVersion, place.version, valueIn(arrived, place.valueAt, place.valueEnd), place.flags)
  return end
}

/** The same of an end: its record stored, its lock deleted. */
export function takeEnd(flight: EndFlight, { text }: Arrived, at: number, { deleted }: TextWords): number {
  const deletedAt = at + STORED.length
  const end = deletedAt + deleted.length
  if (!standsAt(text, at, STORED) || !standsAt(text, deletedAt, deleted)) return 0
  flight.ended()
  return end
}
