import type { SeededRandom } from 'latchkey/testing'

/** Bytes of no protocol; now and then of one that a parser might know. */
export function garbage(random: SeededRandom, most = 300): Buffer {
  const bytes = Buffer.from(random.bytes(random.integer(most) + 1))
  const lures = ['\r\n', 'END\r\n', 'VALUE ', 'STORED\r\n', 'HD c1\r\n', 'SERVER_ERROR ', 'STAT pid 1\r\n', '\x81\x00']
  for (let count = random.integer(4); count > 0; count--) {
    bytes.write(random.pick(lures), random.integer(bytes.length), 'latin1')
  }
  return bytes
}

const NUMBERS = ['0', '9', '-1', '99999999999999999999', '\xff\xff', '\0']

/**
 * A few bytes flipped, cut out, put in or said twice. Never more than eight in a row, so that no name of a session,
 * which is longer, turns into another one's.
 */
export function mutate(bytes: Buffer, random: SeededRandom): Buffer {
  let result = Buffer.from(bytes)
  for (let count = 1 + random.integer(3); count > 0; count--) {
    const at = random.integer(result.length + 1)
    const size = 1 + random.integer(8)
    const [head, tail] = [result.subarray(0, at), result.subarray(at)]
    switch (random.integer(6)) {
      case 0:
        if (at < result.length) result.writeUInt8(result.readUInt8(at) ^ (1 << random.integer(8)), at)
        break
      case 1:
        result = Buffer.concat([head, tail.subarray(size)])
        break
      case 2:
        result = Buffer.concat([head, random.bytes(size), tail])
        break
      case 3:
        result = Buffer.concat([head, tail.subarray(0, size), tail])
        break
      case 4:
        result = Buffer.from(head)
        break
      case 5:
        // Numbers are what lengths are made of.
        result = Buffer.concat([head, Buffer.from(random.pick(NUMBERS), 'latin1'), tail])
        break
    }
  }
  return result
}

/** The same bytes in pieces of any size. */
export function *pieces(bytes: Buffer, random: SeededRandom): Generator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random.integer(random.integer(4) === 0 ? bytes.length : 12)
    yield Buffer.from(bytes.subarray(at, at + size))
    at += size
  }
}

/** A shuffle in place. */
export function shuffle<T>(items: T[], random: SeededRandom): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const at = random.integer(last + 1)
    const [one, other] = [items[at], items[last]]
    if (one === undefined || other === undefined) continue
    items[at] = other
    items[last] = one
  }
  return items
}
