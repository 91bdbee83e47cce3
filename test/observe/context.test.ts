import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { SessionManager } from 'latchkey'
import { afterEach, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { codeOf } from '../support/world.js'

const request = new AsyncLocalStorage<string>()
const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** In whose asynchronous context what is told under `latchkey:<name>` is told. */
function listen(name: string): (string | undefined)[] {
  const told: (string | undefined)[] = []
  const listener = (): void => void told.push(request.getStore())
  subscribe(`latchkey:${name}`, listener)
  stops.push(() => void unsubscribe(`latchkey:${name}`, listener))
  return told
}

/** Two managers of one server; the connection of the first was opened by a request that is long over. */
async function twoManagers(server: MemcachedServer): Promise<readonly [SessionManager, SessionManager]> {
  const savePath = `tcp://${server.address}`
  const managers = [new SessionManager({ savePath, deadlineMs: 30_000 }), new SessionManager({ savePath, deadlineMs: 30_000 })] as const
  await request.run('who opened the connection', () => managers[0].run('alice', ({ data }) => void (data['n'] = 1)))
  return managers
}

it('an event is told in the context of its request, and not of the one that opened the connection', async () => {
  await using server = await MemcachedServer.start()
  const [manager, other] = await twoManagers(server)
  const [fenced, waits] = [listen('fenced'), listen('wait')]
  await request.run('Bob', async () => {
    await manager.run('bob', ({ data }) => void (data['n'] = 1))
    const session = await manager.start('bob')
    session.data['n'] = 2
    await other.store().destroy('bob')
    expect(await codeOf(session.release())).toBe('LATCHKEY_SESSION_GONE')
  })
  expect(fenced).toEqual(['Bob'])
  const held = await other.start('dan')
  const waiting = request.run('Dan', () => manager.run('dan', () => undefined))
  while (manager.stats().polls === 0) await new Promise(setImmediate)
  await held.release()
  await waiting
  expect(waits).toEqual(['Dan'])
  await Promise.all([manager.close(), other.close()])
})

it('what is bound to the start of a commit holds in all that it sets off', async () => {
  await using server = await MemcachedServer.start()
  const [manager, other] = await twoManagers(server)
  const session = await manager.start('bob')
  session.data['n'] = 1
  await session.save()
  await other.store().destroy('bob')
  session.data['n'] = 2
  const { start } = tracingChannel('latchkey:commit')
  start.bindStore(request, () => 'the commit')
  stops.push(() => void start.unbindStore(request))
  const fenced = listen('fenced')
  expect(await codeOf(session.release())).toBe('LATCHKEY_SESSION_GONE')
  expect(fenced).toEqual(['the commit'])
  await Promise.all([manager.close(), other.close()])
})
