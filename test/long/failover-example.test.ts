import { describe, expect, it } from 'vitest'
import { addressesIn, anyAnswers, isGroupAlive, runExample, runNpm, startExample } from '../examples/run-example.js'

const NAMES = ['acknowledged', 'lost', 'loggedOut', 'refused', 'longestGapMs']

// At once: each waits for its visitors for most of its time.
describe.concurrent('the example of a failover', () => {
  it('npm run example:failover loses nothing and logs nobody out where there are replicas', async ({ expect }) => {
    const { exitCode, stdout, stderr } = await runNpm(['run', '--silent', 'example:failover', '--', '--json', '--seconds', '3', '--users', '30'])
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toMatch(/^[^\n]+\n$/)
    const tallies = JSON.parse(stdout) as Record<string, Record<string, number>>
    expect(Object.keys(tallies)).toEqual(['killed', 'stale', 'empty', 'ring'])
    for (const tally of Object.values(tallies)) expect(Object.keys(tally)).toEqual(NAMES)
    for (const name of ['killed', 'stale', 'empty']) expect(tallies[name]).toMatchObject({ lost: 0, loggedOut: 0 })
    // The reason why there are replicas.
    expect(tallies['ring']?.['loggedOut']).toBeGreaterThan(0)
  })

  it('on ctrl-C the example of a failover takes its memcached along', async ({ expect }) => {
    const run = startExample('failover', ['--json', '--users', '10'])
    await run.printed('clicks kept')
    run.child.kill('SIGINT')
    const { exitCode, stdout, stderr } = await run.ended
    expect({ exitCode, stdout }).toEqual({ exitCode: 130, stdout: '' })
    expect(addressesIn(stderr)).toHaveLength(3)
    expect(await anyAnswers(stderr)).toBe(false)
    await expect.poll(() => isGroupAlive(run.child)).toBe(false)
  })
})

it('the example of a failover says in one line what is missing, and refuses what it does not know', async () => {
  const missing = await runExample('failover', ['--json'], { PATH: '/nowhere' })
  expect(missing).toMatchObject({ exitCode: 1, stdout: '' })
  expect(missing.stderr).toMatch(/^failover: this example needs memcached\. Install it/m)
  for (const args of [['--seconds', '0'], ['--hours', '3']]) expect(await runExample('failover', args)).toMatchObject({ exitCode: 2, stdout: '' })
})
