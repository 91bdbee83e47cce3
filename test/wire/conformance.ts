import { type MakeWireSubject, wireConformance } from 'latchkey/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { playsAllRows } from '../support/matrix.js'

/** Another way to a store whose own suite is a part of `npm test`: with `npm run test:all`. */
export function itConformsToo(...suite: Parameters<typeof itConforms>): void {
  if (playsAllRows) itConforms(...suite)
  // Skipped in `npm test` alone, for the three minutes it may take.
  else it.skip(`wire conformance: ${suite[0]}`, () => undefined)
}

/**
 * Our own wires are held to what `latchkey/testing` asks of everybody's. Their stores take items of 1 MiB.
 *
 * @param but names of cases that are left out, where the store itself is at fault.
 * @param ownBytes what the wire keeps of an item for itself.
 */
export function itConforms(name: string, make: MakeWireSubject, but = /^$/, ownBytes = 0): void {
  describe.concurrent(`wire conformance: ${name}`, () => {
    const suite = wireConformance(make)
    afterAll(() => suite.close())
    for (const { name: what, run } of suite.cases) if (!but.test(what)) it(what, run)

    it('says how large a value may be: 1 MiB, but for what the item takes besides', async () => {
      const { wire, close } = await make()
      for (const key of ['k', 'k'.repeat(250)]) {
        const limit = wire.maxValueBytes(key, key)
        expect(limit).toBeLessThan(1024 * 1024 - key.length)
        expect(limit).toBeGreaterThan(1024 * 1024 - key.length - 200 - ownBytes)
      }
      await close()
    })
  })
}
