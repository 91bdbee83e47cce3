import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { hasSentinel, WatchedServers } from '../support/redis-sentinels.js'
import { jsonOf, latchkey } from './tool.js'

describe.skipIf(!hasSentinel)('the tool on Redis that Sentinels watch', () => {
  it('goes to the primary, and says what is wrong with its Sentinels and replicas', async () => {
    await using watched = await WatchedServers.start({ replicas: 1 })
    const { savePath } = watched
    const env = { LATCHKEY_SAVE_PATH: savePath }
    const manager = new SessionManager({ savePath, deadlineMs: 30_000 })
    const held = await manager.start('an-id', { label: 'GET /' })
    expect(jsonOf(await latchkey(['locks'], { env }))).toMatchObject({ locks: [{ label: 'GET /' }] })
    expect(jsonOf(await latchkey(['stats', '--count'], { env }))).toMatchObject({ servers: [{ server: savePath, replicas: 1, counted: { locks: 1 } }] })
    held.data['user'] = 'ada'
    await held.release()
    expect(await manager.length()).toBe(1)
    await manager.close()
    const well = await latchkey(['doctor', '--json'], { env })
    expect(well.exitCode).toBe(0)
    expect(codesIn(well.out)).toEqual(['failover-may-lose'])
    await watched.sentinels[2]?.kill()
    const [first, , third] = watched.sentinels
    const path = `redis+sentinel://${String(first?.address)},${String(third?.address)}/shop`
    const ill = await latchkey(['doctor', '--json'], { env: { LATCHKEY_SAVE_PATH: path } })
    expect(ill.exitCode).toBe(1)
    expect(codesIn(ill.out)).toEqual(['sentinel-unreachable', 'few-sentinels', 'failover-may-lose'])
    const copied = await latchkey(['doctor', '--json'], { env: { LATCHKEY_SAVE_PATH: `${savePath}?replicas=1` } })
    expect(codesIn(copied.out)).toContain('few-replicas')
  })
})

function codesIn(out: string): string[] {
  return [...out.matchAll(/"code":\s*"([^"]+)"/g)].map(([, code = '']) => code)
}
