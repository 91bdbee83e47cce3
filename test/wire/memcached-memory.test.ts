import { expect, it } from 'vitest'
import { CommandFlight, type Flight } from '../../src/wire/socket/flight.js'
import type { Reply } from '../../src/wire/wire.js'
import { makeCodec } from '../fuzz/codec-fuzz.js'
import { collectGarbage } from '../support/garbage.js'

function usedBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const VALUE = 'a small session, not a large one'

it('a text that is kept does not keep what arrived with it', () => {
  const codec = makeCodec('text')
  const big = Buffer.from(`VA 900000 kbig f0 c1\r\n${'x'.repeat(900_000)}\r\n`)
  const small = Buffer.from(`VA ${String(VALUE.length)} ksmall f0 c2\r\n${VALUE}\r\n`)
  const kept: Reply[] = []
  const before = usedBytes()
  for (let count = 0; count < 30; count++) {
    const ask = (key: string, landed: (replies: Reply[]) => void): Flight =>
      new CommandFlight([{ op: 'get', key }], { landed, failed: () => undefined })
    codec.encode([ask('big', () => undefined), ask('small', (replies) => void kept.push(...replies))])
    codec.feed(Buffer.concat([big, small]))
  }
  expect(kept.map(({ value }) => value)).toEqual(Array.from({ length: 30 }, () => VALUE))
  expect(usedBytes() - before).toBeLessThan(5_000_000)
})
