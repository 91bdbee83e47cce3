/** The soak's tormentor does nothing behind the back of who ends the soak. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Crew } from '../../soak/crew.js'
import { Tormentor } from '../../soak/tormentor.js'
import { SeededRandom } from '../../src/testing/index.js'

it('when its tormentor rests nothing more is done to anybody: a worker that was started later was never told to stop', async () => {
  const nobody = new Crew({ size: 1, savePath: 'memory:', sessions: 1, seed: 1, locking: true, onMessage: () => undefined, onDied: () => undefined })
  /** Always the first of a choice: the shortest pause between two torments. */
  class First extends SeededRandom {
    override integer(): number {
      return 0
    }
  }
  const tormentor = new Tormentor([], nobody, new First(1), undefined)
  tormentor.begin()
  await tormentor.rest()
  const atRest = { ...tormentor.torments }
  // A real wait: for what the tormentor was about to do 200 ms after it began.
  await sleep(300)
  expect(tormentor.torments).toEqual(atRest)
})
