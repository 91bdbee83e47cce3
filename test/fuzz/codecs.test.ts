/** The parsers, fed anything: they answer, wait, or give the connection up by the two errors that mean so. */
import { SeededRandom } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { runsOf } from '../support/matrix.js'
import { type Dialect, isExpected, isForeign, makeCodec, namesKey, playCodec } from './codec-fuzz.js'
import { garbage, pieces } from './mutate.js'
import { timesLonger } from './times.js'

const DIALECTS: readonly Dialect[] = ['binary', 'text', 'portable', 'redis']
/** Replies of Redis name no key and no request: only their order on the connection tells whose they are. */
const namesNothing = (dialect: Dialect): boolean => dialect === 'redis'
const RUNS = runsOf(1500) * timesLonger()

describe.each(DIALECTS)('the %s codec', (dialect) => {
  it('gives every flight its own answers, however they arrive', () => {
    for (let seed = 0; seed < RUNS; seed++) {
      const { played, thrown, isRight } = playCodec(dialect, new SeededRandom(seed), 'right')
      if (thrown !== undefined) throw thrown
      expect(isRight && played.length > 0 && !played.some(isForeign), `seed ${String(seed)}`).toBe(true)
    }
  })

  it.each(['disorder', 'shreds', 'garbage'] as const)('survives %s', (how) => {
    const seen = { refused: 0, answered: 0 }
    for (let seed = 0; seed < RUNS; seed++) {
      const { played, thrown, isRight } = playCodec(dialect, new SeededRandom(seed), how)
      if (!isExpected(thrown)) throw new Error(`seed ${String(seed)}`, { cause: thrown })
      expect(isRight, `seed ${String(seed)}`).toBe(true)
      if (!namesNothing(dialect)) expect(played.filter(isForeign), `seed ${String(seed)}`).toEqual([])
      if (namesKey(thrown)) throw new Error(`seed ${String(seed)} names a key`, { cause: thrown })
      if (thrown !== undefined) seen.refused++
      if (played.length > 0) seen.answered++
    }
    // Otherwise it is not the parser that was tested.
    expect(seen.refused).toBeGreaterThan(RUNS / 20)
    if (how !== 'garbage') expect(seen.answered).toBeGreaterThan(RUNS / 20)
  })

  it('survives a greeting that is none', () => {
    for (let seed = 0; seed < RUNS; seed++) {
      const random = new SeededRandom(seed)
      const codec = makeCodec(dialect)
      codec.greet(() => undefined)
      try {
        for (const piece of pieces(garbage(random), random)) codec.feed(piece)
      } catch (error) {
        if (!isExpected(error)) throw new Error(`seed ${String(seed)}`, { cause: error })
      }
    }
  })

  it('sets no memory aside for a length that was only announced', () => {
    const before = process.memoryUsage().arrayBuffers
    const codecs = Array.from({ length: 20 }, () => makeCodec(dialect))
    for (const codec of codecs) {
      codec.greet(() => undefined)
      const binary = Buffer.alloc(24)
      binary.writeUInt8(0x81, 0)
      binary.writeUInt8(0x0b, 1)
      binary.writeUInt32BE(0x3fff_ffff, 8)
      binary.writeUInt32BE(1, 12)
      codec.feed(dialect === 'binary' ? binary : Buffer.from('VERSION 1.6.18'))
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5_000_000)
  })
})
