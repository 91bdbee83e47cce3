import type { Random } from '../system/random.js'

/** PHP's (ext/session/session.c, bin_to_readable): as many of them as a character has bits for. */
const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-,'

/**
 * A new session id, as PHP makes them: by default 32 characters of [0-9a-v], 160 random bits. None of those can end in a
 * reserved suffix.
 */
export function newSid(random: Random, length = 32, bitsPerCharacter = 5): string {
  const mask = (1 << bitsPerCharacter) - 1
  let sid = ''
  let bits = 0
  let count = 0
  for (const byte of random.bytes(Math.ceil((length * bitsPerCharacter) / 8))) {
    bits = (bits << 8) | byte
    count += 8
    while (count >= bitsPerCharacter && sid.length < length) {
      count -= bitsPerCharacter
      sid += ALPHABET.charAt((bits >> count) & mask)
    }
    bits &= (1 << count) - 1
  }
  return sid
}
