import type { Random } from '../system/random.js'

const ALPHABET = '0123456789abcdefghijklmnopqrstuv'

/** A new session id, as PHP makes them: 32 characters of [0-9a-v], 160 random bits. None can end in a reserved suffix. */
export function newSid(random: Random): string {
  let sid = ''
  let bits = 0
  let count = 0
  for (const byte of random.bytes(20)) {
    bits = (bits << 8) | byte
    count += 8
    while (count >= 5) {
      count -= 5
      sid += ALPHABET.charAt((bits >> count) & 31)
    }
    bits &= (1 << count) - 1
  }
  return sid
}
