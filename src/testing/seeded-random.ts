import type { Random } from '../system/random.js'

/**
 * Randomness that repeats itself for the same seed: xoshiro128** 1.1 (Blackman and Vigna,
 * prng.di.unimi.it/xoshiro128starstar.c), with a state that splitmix32 fills from the seed. For tests and simulations
 * only: anyone who sees part of the output can compute the rest.
 */
export class SeededRandom implements Random {
  // Four fields are faster than an array, and a simulation draws some thousands of times in each of millions of runs.
  private a: number
  private b: number
  private c: number
  private d: number

  /** @param seed an integer (its low 32 bits count), or all 128 bits of the state as four 32-bit words, not all 0. */
  constructor(readonly seed: number | readonly [number, number, number, number]) {
    const next = typeof seed === 'number' ? splitmix32(seed) : wordsOf(seed)
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next()
  }

  /** Draws 32 bits, as an integer from 0 to 2^32 - 1. */
  uint32(): number {
    const { b } = this
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0
    const c = this.c ^ this.a
    const d = this.d ^ b
    this.b = b ^ c
    this.a ^= d
    this.c = c ^ (b << 9)
    this.d = rotateLeft(d, 11)
    return result
  }

  bytes(count: number): Uint8Array {
    const drawn = new Uint8Array(count)
    let word = 0
    for (let i = 0; i < count; i++) {
      if (i % 4 === 0) word = this.uint32()
      drawn[i] = word & 0xff
      word >>>= 8
    }
    return drawn
  }

  /** Draws a number, uniform in [0, 1), with 53 bits. */
  fraction(): number {
    const high = this.uint32() >>> 5
    const low = this.uint32() >>> 6
    return (high * 0x4000000 + low) / 2 ** 53
  }

  /** Draws an integer, uniform from 0 to `bound` - 1. */
  integer(bound: number): number {
    return Math.floor(this.fraction() * bound)
  }

  /** Picks one of `items`. Throws RangeError when there is none. */
  pick<T>(items: readonly T[]): NonNullable<T> {
    const picked = items[this.integer(items.length)]
    if (picked === undefined || picked === null) throw new RangeError('nothing to pick from')
    return picked
  }

  /**
   * Makes a generator of its own, seeded from this one. Draws from one of them do not change the sequence of the other.
   */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32())
  }
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

function wordsOf(state: readonly number[]): () => number {
  if (state.every((word) => word >>> 0 === 0)) throw new RangeError('a state of zeros yields nothing but zeros')
  let next = 0
  return () => (state[next++] ?? 0) >>> 0
}

/** Spreads a small seed over a large state, by a Weyl sequence and MurmurHash3's 32-bit finaliser. */
function splitmix32(seed: number): () => number {
  let sum = seed >>> 0
  return () => {
    sum = (sum + 0x9e3779b9) >>> 0
    let word = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b)
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
    return (word ^ (word >>> 16)) >>> 0
  }
}
