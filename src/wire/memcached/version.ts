/** Versions as memcached prints them. */
import { areDigits, type Arrived } from '../socket/arrived.js'
import type { Cas } from '../wire.js'

// A CAS has 64 bits.
const MOST_VERSION_DIGITS = 20

/** Whether the server counts versions: one that runs without them (`-C`) prints 0 for all. */
export const isVersion = (version: string): boolean => !version.startsWith('0') || !/^0+$/.test(version)

/** Versions of our own making (own-versions.ts) have 20 digits, and come never again: they are as of any time. */
const OWN_DIGITS = 20

/** The CAS that a server printed; undefined where it counts none. */
export function casOf(version: string, asOf: number): Cas | undefined {
  if (version.length === OWN_DIGITS) return { version, asOf: Infinity }
  return isVersion(version) ? { version, asOf } : undefined
}

/** The version that stands there; undefined when there is none. */
export function versionIn({ bytes, text }: Arrived, from: number, to: number): string | undefined {
  return to - from > MOST_VERSION_DIGITS || !areDigits(bytes, from, to) ? undefined : text.slice(from, to)
}
