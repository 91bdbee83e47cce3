import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import session from 'express-session'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { playRaces } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { hasRedis, RedisProcess } from '../support/redis-server.js'

const options = { secret: 's', resave: false, saveUninitialized: false }

describe('the race kit', () => {
  it('says that latchkey survives every story', async () => {
    const manager = new SessionManager()
    const results = await playRaces({ middleware: () => latchkey({ manager, ...options }), patienceMs: 50 })
    expect(results.filter(({ survived }) => !survived)).toEqual([])
    expect(results.length).toBeGreaterThanOrEqual(6)
    await manager.close()
  })

  it('and so it does on disk', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'latchkey-races-'))
    const manager = new SessionManager({ savePath: `file:${directory}` })
    const results = await playRaces({ middleware: () => latchkey({ manager, ...options }), patienceMs: 200 })
    expect(results.filter(({ survived }) => !survived)).toEqual([])
    await manager.close()
    rmSync(directory, { recursive: true })
  })

  it.skipIf(!hasRedis)('and on Redis', async () => {
    await using server = await RedisProcess.start()
    const manager = new SessionManager({ savePath: server.savePath, deadlineMs: 30_000 })
    const results = await playRaces({ middleware: () => latchkey({ manager, ...options }), patienceMs: 200 })
    expect(results.filter(({ survived }) => !survived)).toEqual([])
    await manager.close()
  })

  it("says what express-session's own store loses", async () => {
    const store = new session.MemoryStore()
    const results = await playRaces({ middleware: () => session({ store, ...options }), patienceMs: 5000 })
    const lost = Object.fromEntries(results.map(({ story, lost }) => [story, lost]))
    expect(lost['login overwritten by notifications']).toMatch(/lost the/)
    expect(lost['double submit']).toBe('counted 1 of 2')
    expect(lost['streaming']).toBe('not stored when the stream began')
  })

  it('and what the naive handler loses', async () => {
    const manager = new SessionManager({ locking: false })
    const results = await playRaces({ middleware: () => latchkey({ manager, ...options }), patienceMs: 5000 })
    expect(results.filter(({ survived }) => !survived).map(({ story }) => story)).toContain('double submit')
  })
})
