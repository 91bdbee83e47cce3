import { describe, expect, it } from 'vitest'
import { playsAllRows } from '../support/matrix.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { answersAt, type Ended, isGroupAlive, runBuilt, runNpm, startBuilt } from './run-example.js'

function expectProof({ exitCode, stdout, stderr }: Ended): void {
  expect(exitCode, stderr).toBe(0)
  expect(stdout).toMatch(/^[^\n]+\n$/)
  const figures: Record<string, number> = JSON.parse(stdout)
  expect(Object.keys(figures)).toEqual(['requests', 'counted', 'processes', 'polls', 'handoffs'])
  expect(figures).toMatchObject({ requests: 400, counted: 400, processes: 4 })
  expect(figures['polls']).toBeGreaterThan(0)
  expect(figures['handoffs']).toBeGreaterThan(0)
}

const addressIn = (stdout: string): string => /memcached (127\.0\.0\.1:\d+)/.exec(stdout)?.[1] ?? ''

describe('npm run example:cluster', () => {
  it.runIf(playsAllRows)('counts every request on a memcached of its own, and leaves nothing behind', async () => {
    const run = await startBuilt('cluster', [])
    const { exitCode, stdout, stderr } = await run.ended
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toContain('All 400 were counted.')
    for (const line of stdout.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(80)
    expect(addressIn(stdout)).not.toBe('')
    expect(await answersAt(addressIn(stdout))).toBe(false)
    await expect.poll(() => isGroupAlive(run.child)).toBe(false)
  })

  it.runIf(playsAllRows)('prints one JSON object and nothing else with --json, on the servers it is given', async () => {
    await using memcached = await MemcachedServer.start()
    const env = { MEMCACHE_SERVERS: memcached.address }
    expectProof(await runNpm(['run', '--silent', 'example:cluster', '--', '--json'], env))
    expect(await memcached.stat('cmd_set')).toBeGreaterThan(400)
    expect(memcached.running).toBe(true)
  })
})

describe.concurrent('the command line of the cluster', () => {
  it.runIf(playsAllRows)('ends in good order on ctrl-C, with its processes and its memcached', async ({ expect }) => {
    const run = await startBuilt('cluster', [])
    await run.printed('requests at once')
    // As a terminal does it: to the whole group at once.
    process.kill(-(run.child.pid ?? 0), 'SIGINT')
    const { exitCode, stdout, stderr } = await run.ended
    expect({ exitCode, stderr }).toEqual({ exitCode: 130, stderr: '' })
    expect(await answersAt(addressIn(stdout))).toBe(false)
    await expect.poll(() => isGroupAlive(run.child)).toBe(false)
  })

  it.runIf(playsAllRows)('takes its processes and its memcached along when it is killed', async ({ expect }) => {
    const run = await startBuilt('cluster', [])
    await run.printed('requests at once')
    process.kill(-(run.child.pid ?? 0), 'SIGKILL')
    const { stdout } = await run.ended
    await expect.poll(() => answersAt(addressIn(stdout))).toBe(false)
    await expect.poll(() => isGroupAlive(run.child)).toBe(false)
  })

  it('says in one line what to do without memcached', async () => {
    const missing = await runBuilt('cluster', ['--json'], { PATH: '/nowhere' })
    expect(missing).toMatchObject({ exitCode: 1, stdout: '' })
    expect(missing.stderr).toMatch(/^cluster: .*Install it.*MEMCACHE_SERVERS.*\n$/)
    const unreachable = await runBuilt('cluster', [], { MEMCACHE_SERVERS: '127.0.0.1:1' })
    expect(unreachable).toMatchObject({ exitCode: 1, stdout: '' })
    expect(unreachable.stderr).toMatch(/^cluster: no memcached answers at 127\.0\.0\.1:1 .*ECONNREFUSED.*\n$/)
  })

  it('says how it is used, and refuses what it does not know', async () => {
    expect(await runBuilt('cluster', ['--help'])).toMatchObject({ exitCode: 0, stderr: '' })
    const unknown = await runBuilt('cluster', ['4'])
    expect(unknown).toMatchObject({ exitCode: 2, stdout: '' })
    expect(unknown.stderr).toMatch(/^cluster: unknown argument "4"\n\nUsage:/)
    const unreadable = await runBuilt('cluster', [], { MEMCACHE_SERVERS: '[::1' })
    expect(unreadable).toMatchObject({ exitCode: 2, stdout: '' })
    expect(unreadable.stderr).toMatch(/^cluster: MEMCACHE_SERVERS cannot be read\..*\n$/)
  })
})
