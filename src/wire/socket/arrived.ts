/** What arrived of a protocol in text, and how numbers and values are read out of it. */
import type { Value } from '../wire.js'

export const CR = 13
export const LF = 10
const ZERO = 48
const NINE = 57
// A safe integer has them, and no item is longer.
const MOST_DIGITS = 15

/** What came from the server and was not taken yet, in both its forms. */
export interface Arrived {
  readonly bytes: Buffer
  /** The same, a character for each byte. */
  readonly text: string
  readonly isAscii: boolean
}

/** The number that `bytes` spell from `from` to `to`; NaN when it is none. */
export function numberIn(bytes: Buffer, from: number, to: number): number {
  if (to - from > MOST_DIGITS || !areDigits(bytes, from, to)) return NaN
  let number = 0
  for (let at = from; at < to; at++) number = number * 10 + ((bytes[at] ?? NaN) - ZERO)
  return number
}

/** Whether there are any, and nothing else. */
export function areDigits(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const code = bytes[at] ?? NaN
    if (!(code >= ZERO && code <= NINE)) return false
  }
  return to > from
}

/**
 * Whether `part` stands at `at`. Found so, and not by comparing a slice, which would be an object for each comparison: where
 * all is as it should be the search ends where it begins.
 */
export const standsAt = (text: string, at: number, part: string): boolean => at >= 0 && text.indexOf(part, at) === at

/** A copy: the bytes are overwritten by what arrives next, and a slice of the text would keep all of it in memory. */
export const valueIn = ({ bytes, isAscii }: Arrived, from: number, to: number): Value =>
  isAscii ? bytes.toString('latin1', from, to) : Buffer.from(bytes.subarray(from, to))
