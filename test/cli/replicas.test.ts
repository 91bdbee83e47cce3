/** The tool on sessions that three nodes keep, while one of them is away, or has come back empty. */
import { SessionManager } from 'latchkey'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { bringToAll } from '../support/bring-to-all.js'
import { heldOnAll } from '../support/held-on-all.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { buildTool, jsonOf, latchkey, PATIENT, spawnTool } from './tool.js'

const servers: MemcachedServer[] = []
let single: MemcachedServer
let tool: string
let savePath = ''
let manager: SessionManager

beforeAll(async () => {
  tool = await buildTool()
  servers.push(...(await Promise.all([1, 2, 3].map(() => MemcachedServer.start()))))
  single = await MemcachedServer.start()
  savePath = `${servers.map(({ address }) => `tcp://${address}`).join(',')}?replicas=3`
})

afterAll(() => Promise.all([...servers, single].map((server) => server.stop())))

beforeEach(async () => {
  await Promise.all([...servers, single].map((server) => server.commandText('flush_all')))
  manager = new SessionManager({ savePath, deadlineMs: 10_000, lifetimeSec: 500 })
  return () => manager.close({ graceMs: 0 })
})

const put = (id: string, n: number, to = manager): Promise<void> =>
  to.run(id, ({ data }) => {
    data['n'] = n
  })

const ids = Array.from({ length: 12 }, (_id, at) => `id${String(at)}`)

it('repair as a process of its own, of a node that nobody has seen yet: it does what it says, and says it', async () => {
  await Promise.all(ids.map((id) => put(id, 1)))
  await servers[0]?.restart()
  const repaired = await spawnTool(tool, ['repair', ...PATIENT], { LATCHKEY_SAVE_PATH: savePath }).ended
  expect(jsonOf(repaired)).toMatchObject({ repaired: ids.length, failed: 0, servers: [{ was: 'emptied', is: 'whole' }, { is: 'whole' }, { is: 'whole' }] })
  expect(repaired.exitCode).toBe(0)
})

it('one node is away: locks, inspect and copy go by the others, and stats and doctor say which one', async () => {
  await Promise.all(ids.map((id) => put(id, 1)))
  // A node that is late is not waited for, and here one of the two others that have the copy goes away.
  await bringToAll(manager)
  const held = await heldOnAll(manager, 'held', servers, 'sess:held-lck')
  const [away] = servers
  await away?.kill()
  const env = { LATCHKEY_SAVE_PATH: savePath }
  expect(jsonOf(await latchkey(['locks'], { env }))).toMatchObject({ locks: [{ label: 'GET /' }] })
  await held.release()
  for (const id of ids) {
    const inspected = jsonOf(await latchkey(['inspect', id], { env }))
    expect(inspected).toMatchObject({ state: 'stored', ttlSec: expect.toSatisfy((sec: number) => sec > 400 && sec <= 500) as number })
  }
  const copied = await latchkey(['copy', savePath, `tcp://${single.address}`])
  expect(jsonOf(copied)).toMatchObject({ copied: ids.length, failed: 0 })
  expect(jsonOf(await latchkey(['copy', `tcp://${single.address}`, savePath]))).toMatchObject({ same: ids.length, failed: 0 })
  const told = await latchkey(['stats', '--count'], { env })
  expect(told.exitCode).toBe(3)
  expect(jsonOf(told)).toMatchObject({ servers: [{ unreached: expect.stringContaining('ECONNREFUSED') as string }, { counted: { locks: 0 } }, { counted: { locks: 0 } }] })
  expect((await latchkey(['stats'], { env, isRead: true })).out).toContain('ECONNREFUSED')
  const examined = await latchkey(['doctor'], { env })
  expect(examined.exitCode).toBe(3)
  expect(jsonOf(examined)).toMatchObject({ servers: [{ findings: [{ code: 'unreachable' }] }, { trialMs: expect.any(Number) as number }, {}] })
  await away?.restart()
})

it('sessions are copied from one server to three nodes, under their locks, with the lifetime that they have left', async () => {
  const from = new SessionManager({ savePath: `tcp://${single.address}`, lifetimeSec: 300, deadlineMs: 30_000 })
  for (const id of ids) await put(id, 7, from)
  const copy = (...flags: string[]): Promise<unknown> => latchkey(['copy', ...flags, `tcp://${single.address}`, savePath]).then(jsonOf)
  expect(await copy()).toMatchObject({ copied: ids.length, failed: 0 })
  expect(await copy()).toMatchObject({ copied: 0, same: ids.length })
  expect(await manager.peek('id3')).toEqual({ n: 7 })
  expect(jsonOf(await latchkey(['inspect', 'id3'], { env: { LATCHKEY_SAVE_PATH: savePath } }))).toMatchObject({ ttlSec: expect.toSatisfy((sec: number) => sec <= 300) as number })
  await put('id4', 8)
  await put('theirs', 1)
  await from.destroy('id5')
  expect(await copy()).toMatchObject({ copied: 0, kept: 2 })
  expect(await copy('--mirror')).toMatchObject({ copied: 1, removed: 2 })
  expect([await manager.peek('id4'), await manager.peek('theirs'), await manager.peek('id5')]).toEqual([{ n: 7 }, undefined, undefined])
  await from.close()
})

it('one of the nodes alone is refused by all who would take it for the whole: its copies have heads, and its locks are on the others as well', async () => {
  await put('one', 1)
  await using held = await manager.start('held')
  const [alone] = savePath.split(',')
  for (const args of [['inspect', 'one'], ['inspect', 'none'], ['holder', 'held'], ['unlock', '--yes', 'held'], ['holder', '--mutex', 'cron'], ['locks'], ['copy', alone ?? '', `tcp://${single.address}`], ['copy', `tcp://${single.address}`, alone ?? '']]) {
    const { exitCode, out, err } = await latchkey(args, args[0] === 'copy' ? {} : { env: { LATCHKEY_SAVE_PATH: alone ?? '' } })
    expect([args, exitCode, out]).toEqual([args, 5, ''])
    expect(JSON.parse(err)).toEqual({ error: { code: 'LATCHKEY_NOT_SUPPORTED', message: expect.stringMatching(/^tcp:\S+ is one of several servers .*\?replicas=/) as string } })
  }
  expect(held.isHeld).toBe(true)
  await held.save()
  expect(jsonOf(await latchkey(['inspect', 'one'], { env: { LATCHKEY_SAVE_PATH: savePath } }))).toMatchObject({ state: 'stored' })
})

it('the doctor says how large a session may be on several nodes: smaller than an item, by what tells its copies apart', async () => {
  const largestOf = async (env: Readonly<Record<string, string>>): Promise<number> => {
    const { servers: examined } = jsonOf(await latchkey(['doctor'], { env })) as { servers: { largestSessionBytes: number }[] }
    return examined[0]?.largestSessionBytes ?? 0
  }
  const alone = await largestOf({ LATCHKEY_SAVE_PATH: `tcp://${single.address}` })
  const together = await largestOf({ LATCHKEY_SAVE_PATH: savePath })
  expect(alone - together).toBe(450)
})

it('a record that one node has no room for is left by the repair, which says by which one, and what to look at', async () => {
  await using small = await MemcachedServer.start({ args: ['-I', '64k', '-o', 'slab_chunk_max=32768'] })
  const env = { LATCHKEY_SAVE_PATH: `${[small, servers[0], servers[1]].map((server) => `tcp://${server?.address ?? ''}`).join(',')}?replicas=3` }
  const opened: SessionManager[] = []
  const open = (): SessionManager => {
    const one = new SessionManager({ savePath: env.LATCHKEY_SAVE_PATH, deadlineMs: 10_000 })
    opened.push(one)
    return one
  }
  const first = open()
  await put('small', 1, first)
  await small.kill()
  // Who has never seen the node does not know its item size.
  const other = open()
  await other.run('large', ({ data }) => void (data['text'] = 'x'.repeat(100_000)))
  await small.restart()
  await put('small', 2, open())
  const outcome = await latchkey(['repair'], { env })
  expect(outcome.exitCode).toBe(1)
  expect(jsonOf(outcome)).toMatchObject({ failed: 1, failures: [expect.stringContaining(`tcp://${small.address} did not take it; does it answer, and has it room for it`) as string] })
  expect((await open().peek('large'))?.['text']).toHaveLength(100_000)
  await Promise.all(opened.map((one) => one.close({ graceMs: 0 })))
})
