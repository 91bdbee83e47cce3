import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'

const PLACES = ['one memcached', 'three, shared with PHP', 'a disk'] as const

let servers: MemcachedServer[]
let directory: string
beforeAll(async () => {
  servers = await Promise.all([0, 1, 2].map(() => MemcachedServer.start()))
  directory = mkdtempSync(join(tmpdir(), 'latchkey-mutex-'))
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  rmSync(directory, { recursive: true, force: true })
})

function optionsOf(place: (typeof PLACES)[number]): SessionManagerOptions {
  const all = servers.map(({ address }) => `tcp://${address}`)
  if (place === 'one memcached') return { savePath: all[0] ?? '' }
  return place === 'a disk' ? { savePath: `file:${directory}` } : { savePath: all.join(','), php: { extension: 'memcached' } }
}

describe.each(PLACES)('on %s', (place) => {
  it('three managers count up what only the lock guards; tokens grow', async () => {
    const managers = [0, 1, 2].map(() => new SessionManager(optionsOf(place)))
    const tokens: number[] = []
    let count = 0
    const countUp = (manager: SessionManager): Promise<void> =>
      manager.mutex('count').run(async (hold) => {
        const was = count
        tokens.push(await hold.fencingToken())
        await sleep(1)
        count = was + 1
      })
    await Promise.all(managers.flatMap((manager) => Array.from({ length: 20 }, () => countUp(manager))))
    expect(count).toBe(60)
    expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other))
    await Promise.all(managers.map((manager) => manager.close()))
  })

  it('tryLock() has it or has it not, and says who has it', async () => {
    const [one, other] = [new SessionManager(optionsOf(place)), new SessionManager(optionsOf(place))]
    const hold = await one.mutex('nightly').tryLock({ label: 'cron' })
    expect(hold?.isHeld).toBe(true)
    expect(await other.mutex('nightly').tryLock()).toBeUndefined()
    expect(await other.mutex('nightly').holder()).toMatchObject({ label: 'cron', pid: process.pid })
    await hold?.release()
    const next = await other.mutex('nightly').tryLock()
    expect(next?.isHeld).toBe(true)
    await next?.release()
    await Promise.all([one.close(), other.close()])
  })
})
