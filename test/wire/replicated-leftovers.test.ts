/** Locks that nobody counts, on a node of several: they are taken off, whenever they come to stand there. */
import { VirtualClock } from 'latchkey/testing'
import { expect, it } from 'vitest'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import { Leftovers } from '../../src/wire/replicated/leftovers.js'
import { Lists } from '../../src/wire/replicated/lists.js'
import { Member } from '../../src/wire/replicated/member.js'

const KEY = 'sess:sid-lck'

interface Node {
  readonly clock: VirtualClock
  readonly member: Member
  readonly lock: (token: string) => Promise<unknown>
  readonly found: () => Promise<string | undefined>
}

function node(): Node {
  const clock = new VirtualClock()
  const wire = createMemoryWire({ clock })
  return {
    ...{ clock, member: new Member(0, { name: 'n0', wire, keyPrefix: '' }, new Lists('list')) },
    lock: (value) => wire.flight('', [{ op: 'add', key: KEY, value, ttlSec: 300 }]),
    found: async () => (await wire.flight('', [{ op: 'get', key: KEY }]))[0]?.value?.toString(),
  }
}

it.each([
  ['the one before, and then the one after', 'before', 'after'],
  ['the one after, and then the one before', 'after', 'before'],
])('of a lock that was taken over, %s', async (_which, first, second) => {
  const { clock, member, lock, found } = node()
  const leftovers = new Leftovers(clock)
  await lock(first)
  leftovers.note({ member, route: '', lockKey: KEY, tokens: ['after', 'before'], isCounted: () => false })
  await clock.advance(500)
  expect(await found()).toBeUndefined()
  // By a flight that nobody waits for any more.
  await lock(second)
  await clock.advance(10_000)
  expect(await found()).toBeUndefined()
})

it('the lock of somebody else stays', async () => {
  const { clock, member, lock, found } = node()
  await lock('theirs')
  new Leftovers(clock).note({ member, route: '', lockKey: KEY, tokens: ['ours'], isCounted: () => false })
  await clock.advance(20_000)
  expect(await found()).toBe('theirs')
})
