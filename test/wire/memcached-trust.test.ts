/** How long a version is trusted that came through a proxy. */
import { describe, expect, it } from 'vitest'
import { TrustByAge } from '../../src/wire/memcached/trust.js'

const FINE = { isUnclear: false, isAnswered: true }
const ERROR = { isUnclear: true, isAnswered: true }
const SILENCE = { isUnclear: false, isAnswered: false }

describe('a version that came through a proxy', () => {
  it('is trusted for as long as a flight may take, from the sending of its reading', () => {
    const trust = new TrustByAge(1000)
    expect(trust.isTrusted(5000, 6000)).toBe(true)
    expect(trust.isTrusted(5000, 6001)).toBe(false)
    expect(trust.isTrusted(Infinity, 6001)).toBe(true)
  })

  it.each([['an error', ERROR], ['no answer', SILENCE]])('is not trusted after %s, which may be all that is seen of a restart', (_what, ended) => {
    const trust = new TrustByAge(1000)
    trust.seen([FINE], 5100)
    expect(trust.isTrusted(5000, 5200)).toBe(true)
    trust.seen([FINE, ended], 5200)
    expect(trust.isTrusted(5000, 5300)).toBe(false)
    expect(trust.isTrusted(5201, 5300)).toBe(true)
  })
})
