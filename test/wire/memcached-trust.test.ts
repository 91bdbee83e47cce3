/** How long a version is trusted that came through a proxy. */
import { describe, expect, it } from 'vitest'
import { TrustByAge } from '../../src/wire/socket/trust.js'

describe('a version that came through a proxy', () => {
  it('is trusted for as long as a flight may take, from the sending of its reading', () => {
    const trust = new TrustByAge(1000)
    expect(trust.isTrusted(5000, 6000)).toBe(true)
    expect(trust.isTrusted(5000, 6001)).toBe(false)
    expect(trust.isTrusted(Infinity, 6001)).toBe(true)
  })
})
