import { describe, it } from 'vitest'
import { addressesIn, anyAnswers, isGroupAlive, runExample, runNpm, startExample } from '../examples/run-example.js'
import { hasSentinel } from '../support/redis-sentinels.js'

const SHORT = ['--seconds', '1', '--users', '30']

// One after the other: a port that one has let go could be drawn by another one, which is looked at whether it still answers.
describe.skipIf(!hasSentinel)('npm run example:redis', () => {
  it('loses nothing with WAIT, counts what is lost without, and leaves nothing behind', async ({ expect }) => {
    const { exitCode, stdout, stderr } = await runNpm(['run', '--silent', 'example:redis', '--', '--json', ...SHORT])
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toMatch(/^[^\n]+\n$/)
    const figures = JSON.parse(stdout) as Record<'wait' | 'plain', Record<string, number>>
    expect(Object.keys(figures)).toEqual(['wait', 'plain'])
    for (const one of Object.values(figures)) expect(Object.keys(one)).toEqual(['acknowledged', 'lost', 'longestGapMs'])
    expect(figures.wait).toMatchObject({ lost: 0 })
    for (const { acknowledged, longestGapMs } of [figures.wait, figures.plain]) {
      expect(acknowledged).toBeGreaterThan(50)
      expect(longestGapMs).toBeLessThan(20_000)
    }
    expect(stderr).toMatch(/is killed .*stands still .*goes on .*every cart was looked into/s)
    expect(addressesIn(stderr)).toHaveLength(12)
    expect(await anyAnswers(stderr)).toBe(false)
  })

  it('ends in good order on ctrl-C, and takes all of its programs along when it is killed', async ({ expect }) => {
    await Promise.all(([['SIGINT', 130], ['SIGKILL', null]] as const).map(async ([signal, code]) => {
      const run = startExample('redis', SHORT)
      await run.printed('is killed')
      process.kill(-(run.child.pid ?? 0), signal)
      const { exitCode, stdout } = await run.ended
      expect(exitCode).toBe(code)
      await expect.poll(() => anyAnswers(stdout)).toBe(false)
      await expect.poll(() => isGroupAlive(run.child)).toBe(false)
    }))
  })

  it('says in one line what is missing, and how it is installed', async ({ expect }) => {
    const { exitCode, stderr } = await runExample('redis', [], { PATH: '/nowhere' })
    expect([exitCode, stderr]).toEqual([1, 'redis: this example needs redis-server and redis-sentinel. Install: apt-get install redis-server redis-sentinel (Debian, Ubuntu)\n'])
  })
})
