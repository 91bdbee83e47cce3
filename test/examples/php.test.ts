import { describe, expect, it } from 'vitest'
import { playsAllRows, rowsOf } from '../support/matrix.js'
import { addressesIn, anyAnswers, isGroupAlive, runBuilt, runNpm, startBuilt } from './run-example.js'

/** The front, PHP and memcached. */
const areGone = async (stdout: string): Promise<boolean> => addressesIn(stdout).length === 3 && !(await anyAnswers(stdout))

describe('npm run example:php', () => {
  it('loses nothing between PHP and Node, and leaves nothing behind', async () => {
    const run = await startBuilt('php', [])
    const { exitCode, stdout, stderr } = await run.ended
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toContain('All 96 things are in the carts, and every logout held on both sides.')
    for (const line of stdout.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(100)
    await expect.poll(() => isGroupAlive(run.child)).toBe(false)
    expect(await areGone(stdout)).toBe(true)
  })

  it.runIf(playsAllRows)('prints one JSON object and nothing else with --json', async () => {
    const { exitCode, stdout, stderr } = await runNpm(['run', '--silent', 'example:php', '--', '--json'])
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toBe('{"expected":96,"kept":96,"phpServed":60,"nodeServed":60}\n')
  })

  it.each(rowsOf([['SIGKILL', null], ['SIGINT', 130]] as const))('takes PHP and memcached along on %s', async (signal, exitCode) => {
    const run = await startBuilt('php', [])
    await run.printed('in memcached')
    process.kill(-(run.child.pid ?? 0), signal)
    const ended = await run.ended
    expect({ exitCode: ended.exitCode, stderr: ended.stderr }).toEqual({ exitCode, stderr: '' })
    await expect.poll(() => areGone(ended.stdout)).toBe(true)
  })

  it('says in one line what is missing, and how it is installed', async () => {
    const missing = await runBuilt('php', ['--json'], { PATH: '/nowhere' })
    expect(missing).toMatchObject({ exitCode: 1, stdout: '' })
    expect(missing.stderr).toBe('php: this example needs PHP. Install it: apt-get install php-cli php-memcached (Debian, Ubuntu)\n')
    expect(await runBuilt('php', ['--help'])).toMatchObject({ exitCode: 0, stderr: '' })
    const unknown = await runBuilt('php', ['4'])
    expect(unknown).toMatchObject({ exitCode: 2, stdout: '' })
    expect(unknown.stderr).toMatch(/^php: unknown argument "4"\n\nUsage:/)
  })
})
