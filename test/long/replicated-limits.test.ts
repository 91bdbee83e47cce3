/** Sessions on three memcached that have little room: items of half a size, and memory that makes them evict records, locks, and their marks. */
import { once } from 'node:events'
import { LatchkeyError, RecordTooLargeError, SessionManager } from 'latchkey'
import { afterEach, describe, expect, it } from 'vitest'
import { bringToAll } from '../support/bring-to-all.js'
import { Clicks } from '../support/clicks.js'
import { keysOnNode } from '../support/keys-of.js'
import type { MemcachedServer } from '../support/memcached-server.js'
import { ThreeNodes } from '../support/pipes.js'
import { allUp, played } from '../support/played-clicks.js'
import { until } from '../support/until.js'

const OPTIONS = { deadlineMs: 10_000, leaseSec: 60, waitMs: 20_000 }
const BUSY = ['LATCHKEY_LOCK_TIMEOUT', 'LATCHKEY_OUTCOME_UNKNOWN', 'LATCHKEY_SERVER_UNAVAILABLE']
const HALF = ['-I', '512k', '-o', 'slab_chunk_max=262144']
const MIB = 2 ** 20
/** All keys are equally long: they take of an item's room. */
const IDS = ['ada', 'bob', 'cyd', 'dee', 'eve', 'fay']

const opened: SessionManager[] = []
afterEach(() => Promise.all(opened.splice(0).map((manager) => manager.close({ graceMs: 0 }))))

const open = (savePath: string): SessionManager => {
  const manager = new SessionManager({ savePath, ...OPTIONS })
  opened.push(manager)
  return manager
}

/** How large an item may be is learned from each node. */
const hasSeenAll = (manager: SessionManager): Promise<void> => until('all nodes are seen', () => allUp(manager))

const put = (manager: SessionManager, id: string, text: string): Promise<void> =>
  manager.run(id, ({ data }) => {
    data['text'] = text
  })

const textOf = async (manager: SessionManager, id: string): Promise<unknown> => (await manager.peek(id))?.['text']

async function refusalOf(work: Promise<unknown>): Promise<LatchkeyError> {
  const error: unknown = await work.then(() => undefined, (thrown: unknown) => thrown)
  return error instanceof LatchkeyError ? error : expect.fail(`it ended with ${String(error)}`)
}

/** How long a text may be, as the refusal of a longer one says. */
async function longestText(manager: SessionManager): Promise<number> {
  const error = await refusalOf(put(manager, 'zoe', 'x'.repeat(MIB)))
  if (!(error instanceof RecordTooLargeError)) return expect.fail(`it ended with ${error.code}`)
  return error.limitBytes - (error.sizeBytes - MIB)
}

describe('items of half a MiB at most', () => {
  it.each([
    ['on all nodes', [0, 1, 2]],
    ['on one node', [0]],
  ])('%s: what is larger is refused and the session goes on as it was; what just fits is on all of them', async (_name, small) => {
    await using three = await ThreeNodes.start('direct', (node) => (small.includes(node) ? HALF : []))
    const managers = [open(three.savePath), open(three.savePath)] as const
    await put(managers[0], 'zoe', 'known')
    for (const manager of managers) await hasSeenAll(manager)
    const most = await longestText(managers[0])
    expect(most).toBeLessThan(MIB / 2)
    expect(most).toBeGreaterThan(MIB / 2 - 2000)
    expect(await textOf(managers[1], 'zoe')).toBe('known')
    await Promise.all(
      IDS.map(async (id, at) => {
        let stored: string | undefined
        for (const [turn, length] of [10, most, most + 1, MIB, most - at, 20, 2 * MIB, most].entries()) {
          const [manager, other] = (turn + at) % 2 === 0 ? managers : [managers[1], managers[0]]
          const text = String.fromCharCode(97 + turn).repeat(length)
          if (length > most) expect((await refusalOf(put(manager, id, text))).code).toBe('LATCHKEY_RECORD_TOO_LARGE')
          else await put(manager, id, (stored = text))
          expect((await textOf(other, id)) === stored).toBe(true)
        }
      }),
    )
    await bringToAll(managers[0])
    // Each two of them have all.
    for (const node of three.nodes) {
      await node.pause()
      const alone = open(three.savePath)
      for (const id of IDS) expect(await textOf(alone, id)).toHaveLength(most)
      node.resume()
      await hasSeenAll(alone)
    }
  })

  it('on one node, which nobody has seen: what is larger is on the two others, nothing of it is lost, and smaller again it is on all', async () => {
    await using three = await ThreeNodes.start('direct', (node) => (node === 0 ? HALF : []))
    const [small, second, third] = three.nodes
    for (const id of IDS) await put(open(three.savePath), id, 'before')
    // On a busy machine one of them is late, and is not waited for.
    await bringToAll(open(three.savePath))
    await small.pause()
    const blind = open(three.savePath)
    const large = 'x'.repeat(700_000)
    for (const id of IDS) await put(blind, id, large)
    small.resume()
    await hasSeenAll(blind)
    // The small one has what was there before: it counts as older.
    for (const away of [second, third]) {
      await away.pause()
      const other = open(three.savePath)
      for (const id of IDS) expect((await textOf(other, id)) === large).toBe(true)
      away.resume()
      await hasSeenAll(other)
    }
    for (const id of IDS) expect((await refusalOf(put(blind, id, `${large}x`))).code).toBe('LATCHKEY_RECORD_TOO_LARGE')
    for (const id of IDS) expect((await textOf(blind, id)) === large).toBe(true)
    for (const id of IDS) await put(blind, id, `after ${id}`)
    await bringToAll(blind)
    await second.pause()
    for (const id of IDS) expect(await textOf(blind, id)).toBe(`after ${id}`)
    second.resume()
  })
})

/** Fills it with items of all sizes that sessions and locks have, so that what is older has to go. */
async function crowd(server: MemcachedServer): Promise<void> {
  const socket = server.connect().resume()
  for (let bytes = 16; bytes < 3000; bytes = Math.ceil(bytes * 1.15)) {
    let items = ''
    for (let at = 0; at < MIB / (bytes + 60); at++) items += `set filler-${String(bytes)}-${String(at)} 0 0 ${String(bytes)} noreply\r\n${'x'.repeat(bytes)}\r\n`
    if (!socket.write(items)) await once(socket, 'drain')
  }
  socket.end('quit\r\n')
  await once(socket, 'close')
}

describe('memory for a few sessions', () => {
  const TIGHT = ['-m', '2']

  it('of one node, which evicts records and locks all the while: nothing is lost, and all are served', async () => {
    await using three = await ThreeNodes.start('direct', (node) => (node === 0 ? TIGHT : []))
    const clicks = new Clicks(IDS, 20)
    const told = await played({
      ...{ savePath: three.savePath, options: OPTIONS, clicks, clients: 6, atFirst: 100 },
      play: async () => {
        for (let turn = 0; turn < 5; turn++) {
          await crowd(three.nodes[0])
          await clicks.acknowledgeMore(20)
        }
        await Promise.all(IDS.map((id) => clicks.acknowledgeMore(1, id)))
      },
    })
    expect(await three.nodes[0].stat('evictions')).toBeGreaterThan(1000)
    expect(told.lost).toBe(0)
    for (const code of told.codes) expect(BUSY).toContain(code)
  })

  it('of all nodes: a session is there as it was, or begins anew; who held it meanwhile is told', async () => {
    await using three = await ThreeNodes.start('direct', () => TIGHT)
    const [manager, other] = [open(three.savePath), open(three.savePath)]
    await put(manager, 'zoe', 'known')
    await hasSeenAll(other)
    const visitors = Array.from({ length: 100 }, (_id, at) => `visitor-${String(at)}`)
    // Half of those that are held have a record.
    await Promise.all([...visitors, ...IDS.slice(3)].map((id) => put(manager, id, `of ${id}`)))
    const held = await Promise.all(IDS.map((id) => manager.start(id)))
    const isGone = async (): Promise<boolean> => {
      await Promise.all(three.nodes.map((node) => crowd(node)))
      return (await Promise.all([0, 1, 2].map((node) => keysOnNode(manager, node, 'sess:')))).every((keys) => keys.length < 10)
    }
    await until('nearly all of them are evicted', isGone)
    for (const id of visitors) expect([undefined, `of ${id}`]).toContain(await textOf(other, id))
    const outcomes = await Promise.all(
      held.map(async (session) => {
        session.data['text'] = 'late'
        return session.release().then(() => 'stored', (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)))
      }),
    )
    for (const [at, outcome] of outcomes.entries()) {
      const id = IDS[at] ?? ''
      expect(['stored', 'LATCHKEY_LOCK_LOST', 'LATCHKEY_SESSION_GONE', 'LATCHKEY_OUTCOME_UNKNOWN']).toContain(outcome)
      if (outcome === 'stored') expect(await textOf(other, id)).toBe('late')
    }
    for (const id of [...visitors, ...IDS]) await put(other, id, `again ${id}`)
    for (const id of [...visitors, ...IDS]) expect(await textOf(manager, id)).toBe(`again ${id}`)
  })
})
