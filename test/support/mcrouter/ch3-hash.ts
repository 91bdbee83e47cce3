/**
 * How mcrouter chooses a server of a pool: Ch3, by the part of the key before its hash stop.
 *
 * Follows mcrouter/lib/fbi/hash.c (murmur_hash_64A, murmur_rehash_64A, furc_hash), mcrouter/lib/Ch3HashFunc.h, and for the
 * hash stop mcrouter/lib/carbon/Keys-inl.h.
 */
const M = 0xc6a4a7935bd1e995n
const SEED = 4193360111n
const MOST_TRIES = 32
const SHIFT = 23

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value)

function mixed(hash: bigint, word: bigint): bigint {
  let k = u64(word * M)
  k = u64((k ^ (k >> 47n)) * M)
  return u64((hash ^ k) * M)
}

function finished(hash: bigint): bigint {
  const h = u64((hash ^ (hash >> 47n)) * M)
  return h ^ (h >> 47n)
}

function murmur(key: Buffer): bigint {
  let hash = SEED ^ u64(BigInt(key.length) * M)
  const words = Math.floor(key.length / 8)
  for (let word = 0; word < words; word++) hash = mixed(hash, key.readBigUInt64LE(word * 8))
  const rest = key.subarray(words * 8)
  if (rest.length > 0) {
    let tail = 0n
    for (const [at, byte] of rest.entries()) tail |= BigInt(byte) << BigInt(8 * at)
    hash = u64((hash ^ tail) * M)
  }
  return finished(hash)
}

const rehashed = (hash: bigint): bigint => finished(mixed(SEED ^ u64(8n * M), hash))

/** The server, of `count`, that a key is on. */
export function ch3(routingKey: string, count: number): number {
  if (count <= 1) return 0
  const hashes: bigint[] = []
  const bit = (index: number): number => {
    while (hashes.length <= index >> 6) {
      const last = hashes.at(-1)
      hashes.push(last === undefined ? murmur(Buffer.from(routingKey, 'latin1')) : rehashed(last))
    }
    return Number(((hashes[index >> 6] ?? 0n) >> BigInt(index & 0x3f)) & 1n)
  }
  let depth = 32 - Math.clz32(count - 1)
  let at = depth
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    while (bit(at) === 0) {
      if (--depth === 0) return 0
      at = depth
    }
    at += SHIFT
    let number = 1
    for (let level = 0; level < depth - 1; level++) {
      number = (number << 1) | bit(at)
      at += SHIFT
    }
    if (number < count) return number
  }
  return 0
}

export const routingKeyOf = (key: string): string => {
  const stop = key.indexOf('|#|')
  return stop < 0 ? key : key.slice(0, stop)
}
