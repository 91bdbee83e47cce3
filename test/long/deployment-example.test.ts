import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { addressesIn, anyAnswers, runExample, runNpm, startExample } from '../examples/run-example.js'
import { isInstalled, lacking } from '../support/installed.js'
import { read } from '../support/pages.js'

const needed = it.skipIf(!isInstalled('nginx'))
const why = lacking('nginx')

// One after the other: each starts four processes of an application, which on two cores come too late when there are twelve of them.
describe('the example of a deployment', () => {
  needed(`npm run example:deployment loses nothing, whatever happens to the installation, and leaves nothing behind${why}`, { timeout: 400_000 }, async ({ expect }) => {
    const { exitCode, stdout, stderr } = await runNpm(['run', '--silent', 'example:deployment', '--', '--json', '--seconds', '3', '--users', '40'])
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toMatch(/^[^\n]+\n$/)
    const figures = JSON.parse(stdout) as Record<string, number> & { stuck: Record<string, number> }
    expect(Object.keys(figures)).toEqual(['requests', 'expected', 'kept', 'lost', 'stuck'])
    expect(Object.keys(figures.stuck)).toEqual(['p99Ratio', 'memcachedCpuPct', 'connections', 'poolMax'])
    expect(figures).toMatchObject({ kept: figures['expected'], lost: 0, stuck: { poolMax: 12 } })
    expect(figures['expected']).toBeGreaterThan(100)
    expect(stderr).toContain('rolling process 4 of 4')
    expect(addressesIn(stderr).length).toBeGreaterThanOrEqual(6 + 8)
    expect(await anyAnswers(stderr)).toBe(false)
  })

  needed.for([['SIGINT', 130], ['SIGKILL', null]] as const)(`on %s the example of a deployment takes all of its programs along${why}`, async ([signal, exitCode], { expect }) => {
    const scratch = mkdtempSync(join(tmpdir(), 'latchkey-interrupted-'))
    const run = startExample('deployment', ['--users', '40'], { TMPDIR: scratch })
    await run.printed('calm: 40 users')
    process.kill(-(run.child.pid ?? 0), signal)
    const ended = await run.ended
    expect({ exitCode: ended.exitCode, stderr: ended.stderr }).toEqual({ exitCode, stderr: '' })
    expect(addressesIn(ended.stdout)).toHaveLength(6)
    await expect.poll(() => anyAnswers(ended.stdout)).toBe(false)
    await expect.poll(() => readdirSync(scratch).filter((name) => name.startsWith('latchkey-example'))).toEqual([])
    rmSync(scratch, { recursive: true, force: true })
  })

  it('the example of a deployment says in one line what is missing, and how it is installed', async ({ expect }) => {
    const missing = await runExample('deployment', ['--json'], { PATH: '/nowhere' })
    expect(missing).toMatchObject({ exitCode: 1, stdout: '' })
    expect(missing.stderr).toMatch(/^deployment: this example needs .*memcached\. Install: apt-get install .*memcached \(Debian, Ubuntu\)\n$/)
    for (const args of [['--seconds', '0'], ['--users'], ['--hours', '3']]) expect(await runExample('deployment', args)).toMatchObject({ exitCode: 2, stdout: '' })
  })
})

it('nginx closes a connection to a process before Node does', () => {
  const [, seconds] = /^ +keepalive_timeout (\d+)s;/m.exec(read('docs/guide/deploying/nginx.conf')) ?? []
  const server = createServer()
  expect(Number(seconds) * 1000).toBeLessThanOrEqual(server.keepAliveTimeout / 2)
})
