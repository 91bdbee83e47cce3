import { describe, expect, it } from 'vitest'
import { paintFor } from '../../examples/demo/paint.js'
import { playsAllRows, rowsOf } from '../support/matrix.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'
import { isGroupAlive, runBuilt, runNpm, startBuilt } from './run-example.js'

/** What the three page views of the demo change. */
const CHANGES = 12
const LINE = /^[^\n]+\n$/

interface Figures {
  store: string
  unlocked: { expected: number; kept: number }
  locked: { expected: number; kept: number }
  bystander: { p99Ms: number; p99AloneMs: number }
}

/** Exactly one line on standard output, with the agreed shape, and the locked run lost nothing. */
function expectProof(stdout: string, store: string): void {
  expect(stdout).toMatch(LINE)
  const figures: Figures = JSON.parse(stdout)
  expect(figures).toEqual({
    store,
    unlocked: { expected: CHANGES, kept: expect.any(Number) },
    locked: { expected: CHANGES, kept: CHANGES },
    bystander: { p99Ms: expect.any(Number), p99AloneMs: expect.any(Number) },
  })
  expect(figures.unlocked.kept).toBeLessThan(CHANGES)
  expect(figures.bystander.p99Ms).toBeGreaterThan(0)
  expect(figures.bystander.p99AloneMs).toBeGreaterThan(0)
}

describe('npm run demo', () => {
  it.runIf(playsAllRows)('prints one JSON object and nothing else with --json', async () => {
    const { exitCode, stdout, stderr } = await runNpm(['run', '--silent', 'demo', '--', '--json'])
    expect(exitCode, stderr).toBe(0)
    expectProof(stdout, 'a file')
  })

  it('draws it in 80 columns without colours where there is no terminal; on memcached, on several servers', async () => {
    await using first = await MemcachedServer.start()
    await using second = await MemcachedServer.start()
    const servers = [first.address, second.address]
    const { exitCode, stdout, stderr, tookMs } = await runBuilt('demo', [], { MEMCACHE_SERVERS: servers.join(',') })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).not.toContain('\x1b')
    for (const line of stdout.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(80)
    expect(stdout).toContain(`sessions in memcached ${servers.join(', ')}`)
    expect(stdout).toMatch(/GET {2}\/notifications +·*█+ ✗ lost/)
    expect(stdout).toMatch(/GET {2}\/notifications +░+█+ ✓ kept/)
    expect(stdout).toMatch(/✗ erases \w+/)
    expect(stdout).toContain('12 of 12 changes kept, none lost')
    expect(stdout.slice(stdout.indexOf('Verdict'))).toMatch(/With it all 12 were kept/)
    expect(tookMs).toBeLessThan(45_000)
    // Which sessions fall to which server is chance; that they were on these servers is not.
    expect((await first.stat('cmd_set')) + (await second.stat('cmd_set'))).toBeGreaterThan(2 * CHANGES)
  })

  it.runIf(playsAllRows)('prints the same JSON on memcached, and meets nothing of an earlier run', async () => {
    await using server = await MemcachedServer.start()
    const env = { MEMCACHE_SERVERS: server.address }
    const runs = await Promise.all([runBuilt('demo', ['--json'], env), runBuilt('demo', ['--json'], env)])
    for (const { exitCode, stdout, stderr } of runs) {
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
      expectProof(stdout, `memcached ${server.address}`)
    }
  })
})

describe.runIf(hasRedis && playsAllRows)('the demo on Redis', () => {
  it('loses nothing with the lock there either', async () => {
    await using server = await RedisProcess.start()
    const { exitCode, stdout, stderr } = await runBuilt('demo', ['--json'], { MEMCACHE_SERVERS: server.savePath })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expectProof(stdout, `redis ${server.savePath}`)
  })
})

describe.concurrent('the command line of the demo', () => {
  it('says how it is used, and refuses what it does not know', async () => {
    const help = await runBuilt('demo', ['--help'])
    expect(help).toMatchObject({ exitCode: 0, stderr: '' })
    expect(help.stdout).toContain('MEMCACHE_SERVERS')
    const unknown = await runBuilt('demo', ['--jsn'])
    expect(unknown).toMatchObject({ exitCode: 2, stdout: '' })
    expect(unknown.stderr).toMatch(/^demo: unknown argument "--jsn"\n\nUsage:/)
  })

  it('says in one line what to do when no server answers, and shows no password', async () => {
    const { exitCode, stdout, stderr } = await runBuilt('demo', ['--json'], { MEMCACHE_SERVERS: 'ada:pass@127.0.0.1:1' })
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toMatch(LINE)
    expect(stderr).toMatch(/^demo: no memcached answers at 127\.0\.0\.1:1 .*ECONNREFUSED.*unset MEMCACHE_SERVERS/)
    expect(stderr).not.toContain('pass')
  })

  it('does not wait for ever for a server that hangs', async () => {
    await using hung = await MemcachedServer.start()
    await hung.pause()
    const { exitCode, stderr, tookMs } = await runBuilt('demo', [], { MEMCACHE_SERVERS: hung.address })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(LINE)
    expect(tookMs).toBeLessThan(30_000)
  })

  it('refuses a list of servers that cannot be read', async () => {
    const { exitCode, stdout, stderr } = await runBuilt('demo', [], { MEMCACHE_SERVERS: '127.0.0.1:99999' })
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toMatch(LINE)
    expect(stderr).toContain('a port is a number from 1 to 65535')
  })

  it.for(rowsOf(['such page views', '1  Without a lock', '2  With the lock']))('ends at once on ctrl-C (%s)', async (text, { expect }) => {
    const run = await startBuilt('demo', [])
    await run.printed(text)
    run.child.kill('SIGINT')
    const { exitCode, stdout, stderr } = await run.ended
    expect({ exitCode, stderr }).toEqual({ exitCode: 130, stderr: '' })
    // It did not play on.
    expect(stdout).not.toContain('Verdict')
    await expect.poll(() => isGroupAlive(run.child)).toBe(false)
  })
})

describe('colours', () => {
  it.each([
    ['a terminal', true, {}, true],
    ['a terminal with an empty NO_COLOR', true, { NO_COLOR: '' }, true],
    ['NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['a dumb terminal', true, { TERM: 'dumb' }, false],
    ['a file', false, {}, false],
  ])('%s', (_name, isTTY, env, coloured) => {
    expect(paintFor({ isTTY }, env).red('lost')).toBe(coloured ? '\x1b[31mlost\x1b[0m' : 'lost')
  })
})
