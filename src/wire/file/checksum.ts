/**
 * What tells a record from one that the disk has changed. SQLite has checksums in its log, and none in its file: a bit
 * that was flipped there would be another session's data, or the end of a session.
 */
import * as zlib from 'node:zlib'

/** Everything of a record but its value. */
export interface RecordHead {
  readonly version: string
  readonly flags: number
  readonly boot: number
  readonly expires: number
  readonly ttl: number
}

/** As a record has it: two, so that a record can be found, or told to live for longer, without reading its value. */
export interface Checksums {
  readonly head: number
  readonly body: number
}

/** A record is not what was stored; nothing was done. */
export class DamagedRecordError extends Error {
  override readonly name = 'DamagedRecordError'
}

/** What the first checksum is of. No key, and no version, has a space. */
export const headText = (key: string, { version, flags, boot, expires, ttl }: RecordHead): string =>
  `${key} ${version} ${String(flags)} ${String(boot)} ${String(expires)} ${String(ttl)}`

export const headSum = (text: string): number => crc32Of(text)

export const bodySum = (value: Uint8Array): number => crc32(value)

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte
  for (let bit = 0; bit < 8; bit++) rest = (rest & 1) === 1 ? 0xedb88320 ^ (rest >>> 1) : rest >>> 1
  return rest
})

const next = (sum: number, byte: number): number => (TABLE[(sum ^ byte) & 0xff] ?? 0) ^ (sum >>> 8)

/** Of ASCII. A short text is done here before a call out of JavaScript is. */
function crc32Of(text: string): number {
  let sum = -1
  for (let at = 0; at < text.length; at++) sum = next(sum, text.charCodeAt(at))
  return ~sum >>> 0
}

function slowCrc32(value: Uint8Array): number {
  let sum = -1
  for (const byte of value) sum = next(sum, byte)
  return ~sum >>> 0
}

/** Node has it from 20.15 and 22.2 on. */
const crc32 = (zlib as { readonly crc32?: (value: Uint8Array) => number }).crc32 ?? slowCrc32
