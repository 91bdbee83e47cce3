import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SessionManager } from 'latchkey'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts } from '../../examples/deployment/ports.js'
import { type Certificate, writeCertificate } from '../support/certificate.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { hasOurs, hasSentinel, WatchedServers } from '../support/redis-sentinels.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'
import { until } from '../support/until.js'

const VISITORS = Array.from({ length: 12 }, (_, index) => `visitor-${String(index)}`)

/** Patient, as the machine may be busy. */
const managerOf = (savePath: string): SessionManager => new SessionManager({ savePath, deadlineMs: 20_000, waitMs: 60_000 })

const click = (manager: SessionManager, id: string): Promise<unknown> =>
  manager.run(id, ({ data }) => {
    data['n'] = Number(data['n'] ?? 0) + 1
  })

async function clickAll(manager: SessionManager, n: number): Promise<void> {
  await Promise.all(VISITORS.map((id) => click(manager, id)))
  for (const id of VISITORS) expect(await manager.peek(id)).toEqual({ n })
}

describe.skipIf(!hasRedis)('over TLS, with a certificate that is checked', () => {
  let directory: string
  let certificate: Certificate
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'latchkey-tls-'))
    certificate = writeCertificate(directory)
  })
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true })
  })

  it('one Redis', async () => {
    const [port = 0] = await freePorts(1)
    await using server = await RedisProcess.start({ tls: { port, certificate } })
    const manager = managerOf(`rediss://127.0.0.1:${String(server.namedPort)}?ca=${certificate.cert}`)
    await clickAll(manager, 1)
    const stranger = new SessionManager({ savePath: `rediss://127.0.0.1:${String(port)}` })
    await expect(click(stranger, 'visitor-0')).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_UNAVAILABLE', message: expect.stringContaining('self-signed certificate') as string })
    await Promise.all([manager.close(), stranger.close()])
  })

  it('a Redis Cluster: all of its nodes, also those that only another node has named', async () => {
    await using cluster = await RedisCluster.start({ certificate })
    const [first] = cluster.tlsSavePath.split(',')
    const manager = managerOf(`${first ?? ''}?ca=${certificate.cert}`)
    await clickAll(manager, 1)
    const clients = await Promise.all(cluster.primaries.map((node) => node.command('CLIENT LIST')))
    for (const list of clients) expect(list).toContain('name=latchkey')
    await manager.close()
  })

  it.skipIf(!hasSentinel)('a primary that Sentinels watch, and the next one after a failover', async () => {
    await using watched = await WatchedServers.start({ certificate, replicas: 1 })
    const manager = managerOf(`${watched.tlsSavePath}?ca=${certificate.cert}`)
    await clickAll(manager, 1)
    const next = await watched.failOver()
    await until('the manager has moved', async () => {
      await click(manager, 'another').catch(() => undefined)
      return (await hasOurs(next)) === true
    })
    await Promise.all(VISITORS.map((id) => click(manager, id)))
    await manager.close()
  })
})
