import { SessionManager } from 'latchkey'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasRedis, RedisProcess } from '../support/redis-server.js'
import { jsonOf, latchkey } from './tool.js'

/** The tool on Redis. */
describe.skipIf(!hasRedis)('the tool on Redis', () => {
  let server: RedisProcess
  let manager: SessionManager
  let env: { LATCHKEY_SAVE_PATH: string }
  beforeAll(async () => {
    server = await RedisProcess.start()
    env = { LATCHKEY_SAVE_PATH: server.savePath }
    manager = new SessionManager({ savePath: server.savePath, deadlineMs: 30_000 })
  })
  afterAll(async () => {
    await manager.close({ graceMs: 0 })
    await server.stop()
  })

  it('looks into it, and the lists of a manager walk through it', async () => {
    await manager.run('an-id', (session) => {
      session.data['user'] = 'ada'
    })
    expect(jsonOf(await latchkey(['inspect', 'an-id'], { env }))).toMatchObject({
      server: server.savePath,
      state: 'stored',
      ttlSec: 1440,
      shape: { user: 'text(3)' },
    })
    const held = await manager.start('an-id', { label: 'GET /' })
    expect(jsonOf(await latchkey(['locks'], { env }))).toMatchObject({ locks: [{ label: 'GET /' }] })
    expect(jsonOf(await latchkey(['holder', 'an-id'], { env }))).toMatchObject({ held: true })
    expect(jsonOf(await latchkey(['stats', '--count'], { env }))).toMatchObject({
      servers: [{ server: server.savePath, version: expect.any(String) as string, counted: { sessions: 1, locks: 1 } }],
    })
    expect(jsonOf(await latchkey(['unlock', '--yes', 'an-id'], { env }))).toMatchObject({ unlocked: true })
    await held.abort()
    const all = []
    for await (const one of manager.all()) all.push(one)
    expect(all).toEqual([{ id: 'an-id', data: { user: 'ada' } }])
    expect(await manager.length()).toBe(1)
    await server.command('SET other:key 1')
    await manager.clear()
    expect(await manager.length()).toBe(0)
    expect(await server.command('EXISTS other:key')).toBe(':1')
  })

  it('copies sessions to it and from it', async () => {
    await using target = await RedisProcess.start()
    await manager.run('copied', ({ data }) => {
      data['x'] = 1
    })
    const copied = await latchkey(['copy', server.savePath, target.savePath], { env })
    expect(copied).toMatchObject({ exitCode: 0 })
    const there = new SessionManager({ savePath: target.savePath, deadlineMs: 30_000 })
    expect(await there.peek('copied')).toEqual({ x: 1 })
    await there.close()
  })

  it('the doctor plays a session on it, and says what is wrong with it', async () => {
    const { out, exitCode } = await latchkey(['doctor'], { env, isRead: true })
    expect(out).toMatch(/redis \d+\.\d+\.\d+, up for .*, no limit of memory/)
    expect(out).toContain('ok       A session was locked')
    expect(out).toContain('forgets')
    expect(exitCode).toBe(0)
    await server.command('CONFIG SET maxmemory 100mb')
    await server.command('CONFIG SET maxmemory-policy allkeys-lru')
    expect((await latchkey(['doctor'], { env, isRead: true })).out).toContain('maxmemory-policy allkeys-lru')
    const refused = await latchkey(['doctor', '--save-path', server.savePath.replace('//', '//shop:wrong@')], { isRead: true })
    expect(refused.out).toContain('credentials-refused')
    expect(refused.exitCode).toBe(3)
  })

  it('flights are told with the name of the system', async () => {
    await manager.run('told', () => undefined)
    const stats = manager.stats()
    expect(Object.keys(stats.nodes ?? {})).toEqual([server.savePath])
  })
})
