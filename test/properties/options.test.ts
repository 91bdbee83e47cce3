import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidOptionError } from '../../src/errors.js'
import { checkedLifetimeSec, type SessionManagerOptions, settingsOf } from '../../src/session/options.js'
import { runsOf } from '../support/matrix.js'

const RANGES = {
  lifetimeSec: [1, 100 * 365 * 86_400],
  leaseSec: [2, 3600],
  waitMs: [0, 600_000],
  maxHoldMs: [100, 86_400_000],
  maxWaiters: [1, 1_000_000],
  deadlineMs: [30, 60_000],
  connections: [1, 64],
} as const
const NAMES = Object.keys(RANGES) as (keyof typeof RANGES)[]
const WHOLE = ['lifetimeSec', 'leaseSec', 'maxWaiters', 'connections']

const strange = fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withObjectString: true })
const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0, -0, Number.NaN, Infinity, 1, 2, 3600, 3601))
const nameOfOption = fc.constantFrom(
  ...NAMES,
  ...['savePath', 'prefix', 'locking', 'label', 'serializer', 'wire', 'clock', 'random', 'leaseMs', '__proto__'],
)

/** What a caller without types may hand over. */
const anyOptions = fc
  .array(fc.tuple(nameOfOption, fc.oneof(number, strange)), { maxLength: 4 })
  .map((entries) => Object.fromEntries(entries) as SessionManagerOptions)

describe('options', () => {
  it('whatever is given is settled within its range, or refused by the typed error', () => {
    fc.assert(
      fc.property(anyOptions, (options) => {
        try {
          const settings = settingsOf(options)
          for (const name of NAMES) {
            const [least, most] = RANGES[name]
            expect(settings[name]).toSatisfy((value: number) => value >= least && value <= most)
            if (WHOLE.includes(name)) expect(Number.isInteger(settings[name])).toBe(true)
          }
          expect(settings.dialect.prefix).toMatch(/^[\x21-\x7e]{0,100}$/)
          expect(settings.locking).toBeTypeOf('boolean')
          expect(['string', 'undefined']).toContain(typeof settings.label)
          expect(settings.dialect.serializer.parse).toBeTypeOf('function')
          expect(settings.dialect.serializer.stringify).toBeTypeOf('function')
          expect(settings.clock.nowMs).toBeTypeOf('function')
          expect(settings.random.bytes).toBeTypeOf('function')
          expect(['string']).toContain(typeof settings.savePath)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidOptionError)
        }
      }),
      { numRuns: runsOf(4000) },
    )
  })

  it('every number of its range is taken as it is, and none outside', () => {
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), number, (name, value) => {
        const [least, most] = RANGES[name]
        const right = value >= least && value <= most && (!WHOLE.includes(name) || Number.isInteger(value))
        if (right) expect(settingsOf({ [name]: value })[name]).toBe(value)
        else expect(() => settingsOf({ [name]: value })).toThrow(new RegExp(`^${name} is `))
      }),
      { numRuns: runsOf(2000) },
    )
  })

  it('a lifetime that comes with a call is rounded up to whole seconds, or refused', () => {
    fc.assert(
      fc.property(number, (value) => {
        const rounded = Math.ceil(value)
        if (rounded >= 1 && rounded <= RANGES.lifetimeSec[1]) expect(checkedLifetimeSec(value)).toBe(rounded)
        else expect(() => checkedLifetimeSec(value)).toThrow(InvalidOptionError)
      }),
    )
  })
})
