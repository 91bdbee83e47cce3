/** One of three servers behind a proxy is killed under load, and comes back empty: what was acknowledged is there, elsewhere. */
import { setTimeout as delay } from 'node:timers/promises'
import { LatchkeyError, SessionManager } from 'latchkey'
import { expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { configurationOf, memcachedWithExplicitVersions, missingProxy, PROXY_KINDS, type ProxyKind, startProxy } from '../support/proxies.js'
import { until } from '../support/until.js'

const IDS = Array.from({ length: 60 }, (_, index) => `visitor-${String(index)}`)
/** Longer than a version is trusted that came through a proxy: a third of the default of deadlineMs. */
const AWAY_MS = 1500

interface Way {
  readonly kind: ProxyKind
  readonly versions: '' | '&versions=own'
  readonly awayMs: number
}

const WAYS: readonly Way[] = [
  ...PROXY_KINDS.map((kind): Way => ({ kind, versions: '', awayMs: AWAY_MS })),
  // Back at once.
  { kind: 'proxy', versions: '&versions=own', awayMs: 0 },
]

/** What a visitor was told of its session since it last began. */
class Account {
  acknowledged = 0
  unknown = 0
  begins = 0
  /** All that were ever acknowledged. */
  ever = 0

  /** @param visits what the session has had so far. */
  sees(visits: number): void {
    if (visits > 0) return
    this.begins++
    this.acknowledged = this.unknown = 0
  }
}

it.each(WAYS.map((way) => [`${way.kind}${way.versions}${missingProxy(way.kind)}`, way] as const))('%s: no acknowledged visit is lost', async (_name, { kind, versions, awayMs }) => {
  if (missingProxy(kind) !== '') return
  const binary = versions === '' || memcachedWithExplicitVersions === undefined ? {} : { binary: memcachedWithExplicitVersions }
  const servers = await Promise.all([0, 1, 2].map(() => MemcachedServer.start(binary)))
  await using proxy = await startProxy(kind, configurationOf(kind, servers.map(({ address }) => address)))
  const managers = [0, 1].map(() => new SessionManager({ savePath: `tcp://${proxy.address}?via=${kind}${versions}`, waitMs: 3000 }))
  const accounts = new Map(IDS.map((id) => [id, new Account()]))
  const untyped: unknown[] = []
  let isOver = false
  const visitor = async (manager: SessionManager, id: string, account: Account): Promise<void> => {
    while (!isOver) {
      try {
        await manager.run(id, (session) => {
          const visits = Number(session.data['visits'] ?? 0)
          account.sees(visits)
          session.data['visits'] = visits + 1
        })
        account.acknowledged++
        account.ever++
      } catch (error) {
        if (!(error instanceof LatchkeyError)) untyped.push(error)
        else if (error.code === 'LATCHKEY_OUTCOME_UNKNOWN') account.unknown++
      }
      await delay(Math.random() * 10)
    }
  }
  const load = Promise.all([...accounts].flatMap(([id, account]) => managers.map((manager) => visitor(manager, id, account))))
  await delay(1000)
  await servers[1]?.kill()
  await delay(awayMs)
  await servers[1]?.restart()
  // memcached's proxy calls a server that was away only after a while.
  const then = new Map([...accounts].map(([id, { ever }]) => [id, ever]))
  await until('everybody is served again', async () => [...accounts].every(([id, { ever }]) => ever > (then.get(id) ?? 0)))
  isOver = true
  await load
  for (const [id, { acknowledged, unknown, begins }] of accounts) {
    const visits = await visitsOf(managers[0], id)
    // A commit that was acknowledged right before its server died is counted after it began anew.
    expect(visits, id).toBeGreaterThanOrEqual(acknowledged - (begins > 1 ? 1 : 0))
    expect(visits, id).toBeLessThanOrEqual(acknowledged + unknown + 1)
  }
  const moved = [...accounts.values()].filter(({ begins }) => begins > 1).length
  expect(moved).toBeGreaterThan(0)
  expect(moved).toBeLessThan(IDS.length)
  expect(untyped).toEqual([])
  for (const manager of managers) await manager.close({ graceMs: 0 })
  for (const server of servers) await server.stop()
})

/** memcached's proxy may call a server that was away only after a while. */
async function visitsOf(manager: SessionManager | undefined, id: string): Promise<number> {
  let visits = NaN
  await expect.poll(async () => {
    const session = await manager?.peek(id).catch(() => undefined)
    visits = Number(session?.['visits'] ?? NaN)
    return visits
  }).toBeGreaterThan(0)
  return visits
}
