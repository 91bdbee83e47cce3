import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setMaxListeners } from 'node:events'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { undoneAfterEach } from '../support/undo.js'
import { jsonOf, latchkey } from './tool.js'

const { undo, newDirectory } = undoneAfterEach()

const onDisk = (): string => `file:${newDirectory()}`

async function onServer(): Promise<string> {
  const server = await MemcachedServer.start()
  undo.push(() => server.stop())
  return `tcp://${server.address}`
}

function managerOf(savePath: string, options: SessionManagerOptions = {}): SessionManager {
  const manager = new SessionManager({ savePath, deadlineMs: 30_000, ...options })
  undo.push(() => manager.close({ graceMs: 0 }))
  return manager
}

/** Resolves when something is told on that channel. */
const once = (name: string): Promise<void> =>
  new Promise((resolve) => {
    const listen = (): void => {
      unsubscribe(name, listen)
      resolve()
    }
    subscribe(name, listen)
  })

const put = (manager: SessionManager, id: string, value: unknown): Promise<void> =>
  manager.run(id, ({ data }) => {
    data['x'] = value
  })

describe('latchkey copy', () => {
  it('says at once that a store is not there, whichever of the two it is, and has tried no session', async () => {
    const [disk, empty, server] = [onDisk(), onDisk(), await onServer()]
    const from = managerOf(disk)
    for (const id of ['one', 'two']) await put(from, id, 1)
    await managerOf(empty).length()
    const nowhere = 'tcp://127.0.0.1:1'
    const ways = [[nowhere, server], [disk, nowhere], [empty, nowhere], [disk, `${server},${nowhere}`], [disk, `${server},${nowhere},tcp://127.0.0.1:2?replicas=3`]]
    for (const way of ways) {
      const { exitCode, out, err } = await latchkey(['copy', ...way])
      expect([way, exitCode, out]).toEqual([way, 3, ''])
      expect(JSON.parse(err)).toMatchObject({ error: { code: 'LATCHKEY_SERVER_UNAVAILABLE' } })
    }
  })

  it('takes every session of the prefix from disk to a server, and back; a second run finds them there', async () => {
    const [disk, server, again] = [onDisk(), await onServer(), onDisk()]
    const from = managerOf(disk, { lifetimeSec: 500 })
    for (let i = 0; i < 50; i++) await put(from, `id${String(i)}`, i)
    await put(managerOf(disk, { prefix: 'other:' }), 'theirs', 1)
    expect(jsonOf(await latchkey(['copy', disk, server]))).toMatchObject({ sessions: 50, copied: 50, failed: 0 })
    expect(jsonOf(await latchkey(['copy', disk, server]))).toMatchObject({ copied: 0, same: 50 })
    const to = managerOf(server)
    expect(await to.length()).toBe(50)
    expect(await to.peek('id7')).toEqual({ x: 7 })
    expect(jsonOf(await latchkey(['inspect', 'id7', '--save-path', server]))).toMatchObject({ ttlSec: expect.toSatisfy((sec: number) => sec > 480 && sec <= 500) as number })
    expect((await latchkey(['copy', server, again], { isRead: true })).out).toContain('50 sessions: 50 copied.')
    expect(await managerOf(again).peek('id7')).toEqual({ x: 7 })
    // Nothing stayed locked.
    for (const savePath of [disk, server, again]) expect(jsonOf(await latchkey(['locks', '--save-path', savePath]))).toEqual({ locks: [] })
  })

  it('leaves alone what differs there, but for --mirror, which also takes away what has ended here', async () => {
    const [one, other] = [onDisk(), onDisk()]
    const [from, to] = [managerOf(one), managerOf(other)]
    for (const id of ['changed', 'ended', 'stays']) await put(from, id, 'first')
    await latchkey(['copy', one, other])
    await put(from, 'changed', 'second')
    await (await from.start('ended')).destroy()
    await put(to, 'stray', 'x')
    expect(jsonOf(await latchkey(['copy', one, other]))).toMatchObject({ copied: 0, same: 1, kept: 2 })
    expect([await to.peek('changed'), await to.peek('ended')]).toEqual([{ x: 'first' }, { x: 'first' }])
    expect(jsonOf(await latchkey(['copy', '--mirror', one, other]))).toMatchObject({ copied: 1, same: 1, removed: 2 })
    expect(await to.peek('changed')).toEqual({ x: 'second' })
    for (const id of ['ended', 'stray']) expect(await to.peek(id)).toBeUndefined()
    expect(await to.length()).toBe(2)
  })

  it('waits for who holds a session, and copies what that one stores', async () => {
    const [one, other] = [onDisk(), onDisk()]
    const from = managerOf(one)
    await put(from, 'id', 'before')
    const held = await from.start('id')
    held.data['x'] = 'after'
    const waiting = once('tracing:latchkey:wait:start')
    const copying = latchkey(['copy', one, other])
    await waiting
    await held.release()
    expect(jsonOf(await copying)).toMatchObject({ copied: 1 })
    expect(await managerOf(other).peek('id')).toEqual({ x: 'after' })
  })

  it('ctrl-C leaves nothing locked, and the same command goes on', async () => {
    const [one, other] = [onDisk(), onDisk()]
    const from = managerOf(one)
    await Promise.all(Array.from({ length: 400 }, (_, i) => put(from, `id${String(i)}`, i)))
    const interruption = new AbortController()
    // As the process of the tool does for its own.
    setMaxListeners(0, interruption.signal)
    const cut = latchkey(['copy', one, other], { signal: interruption.signal })
    const to = managerOf(other)
    await expect.poll(() => to.length(), { interval: 1 }).toBeGreaterThan(0)
    interruption.abort(new Error('interrupted'))
    expect(await cut).toMatchObject({ exitCode: 130 })
    expect(jsonOf(await latchkey(['locks', '--save-path', one]))).toEqual({ locks: [] })
    const { copied, same } = jsonOf(await latchkey(['copy', one, other])) as { copied: number; same: number }
    expect([copied + same, same > 0]).toEqual([400, true])
  })

  it('copies encrypted records as they are, with the keys to lock them by', async () => {
    const [one, other] = [onDisk(), onDisk()]
    const encryption = { keys: [{ id: 'k1', secret: 'a secret that is 32 characters long' }] }
    await put(managerOf(one, { encryption }), 'id', 'secret')
    expect(await latchkey(['copy', one, other])).toMatchObject({ exitCode: 1 })
    const env = { LATCHKEY_KEYS: JSON.stringify(encryption.keys) }
    expect(jsonOf(await latchkey(['copy', one, other], { env }))).toMatchObject({ copied: 1 })
    expect(await managerOf(other, { encryption }).peek('id')).toEqual({ x: 'secret' })
  })

  it.each([
    [['copy'], /two save paths/],
    [['copy', 'file:/a'], /two save paths/],
    [['copy', 'file:/a', 'file:/b', 'file:/c'], /two save paths/],
    [['copy', 'file:/a', 'memory:'], /inside one process/],
    [['copy', 'file:/a', 'file:/b', '--servers', 'c'], /no --servers/],
    [['locks', '--mirror', '--servers', 'a'], /no option --mirror/],
  ])('%j is refused', async (args, why) => {
    const { exitCode, err } = await latchkey(args, { isRead: true })
    expect(exitCode).toBe(2)
    expect(err).toMatch(why)
  })
})
