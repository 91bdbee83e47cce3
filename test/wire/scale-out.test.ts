/** What is kept, and what is refused, when one of several servers dies and comes back empty: directly, and through proxies. */
import { setTimeout as delay } from 'node:timers/promises'
import { LatchkeyError, SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { rowsOf } from '../support/matrix.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { configurationOf, keysThrough, missingProxy, PROXY_KINDS, type ProxyKind, startProxy, threeServers } from '../support/proxies.js'

const IDS = Array.from({ length: 30 }, (_, index) => `visitor-${String(index)}`)

const count = (session: { readonly data: Record<string, unknown> }): void => {
  session.data['visits'] = Number(session.data['visits'] ?? 0) + 1
}

/** What came of one more visit: how many there have been, or the code of an error. */
async function visit(manager: SessionManager, id: string): Promise<unknown> {
  try {
    return await manager.run(id, (session) => {
      count(session)
      return session.data['visits']
    })
  } catch (error) {
    return error instanceof LatchkeyError ? error.code : error
  }
}

const visitAll = (manager: SessionManager): Promise<unknown[]> => Promise.all(IDS.map((id) => visit(manager, id)))

async function play(savePath: string, victim: MemcachedServer): Promise<void> {
  const manager = new SessionManager({ savePath, deadlineMs: 6000 })
  expect(new Set(await visitAll(manager))).toEqual(new Set([1]))
  await victim.kill()
  const during = await visitAll(manager)
  const lost = IDS.filter((_id, index) => typeof during[index] === 'string')
  expect(lost.length).toBeGreaterThan(0)
  expect(lost.length).toBeLessThan(IDS.length)
  for (const outcome of during) expect([2, 'LATCHKEY_SERVER_UNAVAILABLE', 'LATCHKEY_SERVER_REFUSED', 'LATCHKEY_OUTCOME_UNKNOWN']).toContain(outcome)
  await victim.restart()
  // A proxy may call a server that was away only after a while.
  for (const id of lost) await expect.poll(() => visit(manager, id)).toBe(1)
  for (const id of IDS) if (!lost.includes(id)) expect(await visit(manager, id)).toBe(3)
  await manager.close()
}

it('a ring: a server that dies takes its own sessions with it and no others, which begin anew when it is back', async () => {
  await using servers = await threeServers()
  const [, victim] = servers.all
  if (victim !== undefined) await play(servers.addresses.map((address) => `tcp://${address}`).join(','), victim)
})

describe.each(rowsOf(PROXY_KINDS))('through %s', (kind: ProxyKind) => {
  const missing = missingProxy(kind)

  it.skipIf(missing !== '')(`a server that dies takes its own sessions with it and no others, which begin anew when it is back${missing}`, async () => {
    await using servers = await threeServers()
    await using proxy = await startProxy(kind, configurationOf(kind, servers.addresses))
    const [, victim] = servers.all
    if (victim !== undefined) await play(`tcp://${proxy.address}?via=${kind}`, victim)
  })

  it.skipIf(missing !== '')(`who held a session while its server was restarted overwrites nobody, though the version is the same again${missing}`, async () => {
    await using server = await MemcachedServer.start()
    await using proxy = await startProxy(kind, configurationOf(kind, [server.address]))
    const manager = new SessionManager({ savePath: `tcp://${proxy.address}?via=${kind}`, deadlineMs: 3000 })
    await manager.run('visitor', count)
    const late = await manager.start('visitor')
    count(late)
    const { record } = keysThrough(kind, 'visitor')
    const version = await versionOf(server, record)
    await server.kill()
    // Longer than a version is trusted that came through a proxy: deadlineMs / 3.
    await delay(1200)
    await server.restart()
    for (let taken = 1; taken < version; taken++) await server.commandText('set other 0 100 1\r\nx')
    await server.commandText(`set ${record} 7 100 8\r\nstranger`)
    expect(await versionOf(server, record)).toBe(version)
    await proxy.serves()
    await expect(late.release()).rejects.toBeInstanceOf(LatchkeyError)
    expect(await server.commandText(`get ${record}`)).toContain('stranger')
    await manager.close({ graceMs: 0 })
  })
})

async function versionOf(server: MemcachedServer, key: string): Promise<number> {
  const [, version] = /^VALUE \S+ \d+ \d+ (\d+)/.exec(await server.commandText(`gets ${key}`)) ?? []
  return Number(version)
}
