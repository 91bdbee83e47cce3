/** Why a command must not reach any store, whichever it is: the ranges that all of them share. */
import { isKey } from './key.js'

export const problemOfKey = (key: string): string | undefined =>
  isKey(key) ? undefined : 'A key is 1 to 250 visible ASCII characters.'

export const problemOfTtl = (ttlSec: number): string | undefined =>
  Number.isSafeInteger(ttlSec) && ttlSec >= 1 ? undefined : `A TTL is a whole number of seconds, at least 1 (got ${String(ttlSec)}).`
