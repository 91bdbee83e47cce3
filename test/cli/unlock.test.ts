import { describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { jsonOf, latchkey } from './tool.js'
import { twoServers } from './two-servers.js'

const { manager, tool } = twoServers()

describe('unlock', () => {
  it('shows the holder, asks, and takes the lock off; what the holder writes later is fenced', async () => {
    const one = manager()
    const held = await one.start('an-id', { label: 'GET /slow' })
    let asked = ''
    const outcome = await tool(['unlock', 'an-id'], { isRead: true, answer: (question) => ((asked = question), 'y') })
    expect(asked).toMatch(/held by .*GET \/slow.*\n.*\[y\/N\]/)
    expect(outcome).toMatchObject({ exitCode: 0, out: expect.stringContaining('Unlocked') as string })
    expect(await one.holder('an-id')).toBeUndefined()
    const next = await manager().start('an-id')
    next.data['by'] = 'next'
    await next.release()
    held.data['by'] = 'old'
    await expect(held.release()).rejects.toMatchObject({ code: 'LATCHKEY_FENCED' })
    expect(await one.peek('an-id')).toEqual({ by: 'next' })
  })

  it.each(['', 'n', 'nope', 'yesterday'])('%j is no yes', async (answer) => {
    const one = manager()
    const held = await one.start('an-id')
    const outcome = await tool(['unlock', 'an-id'], { answer: () => answer })
    expect([outcome.exitCode, jsonOf(outcome)]).toMatchObject([1, { unlocked: false, reason: 'declined' }])
    expect(await one.holder('an-id')).toBeDefined()
    await held.abort()
  })

  it('--yes does not ask; a free session is not locked', async () => {
    const held = await manager().start('an-id')
    const done = await tool(['unlock', '--yes', '-'], { input: 'an-id' })
    expect([done.exitCode, jsonOf(done)]).toMatchObject([0, { unlocked: true, holder: { pid: process.pid } }])
    const free = await tool(['unlock', '--yes', 'an-id'])
    expect([free.exitCode, jsonOf(free)]).toMatchObject([1, { unlocked: false, reason: 'free' }])
    await held.abort()
  })

  it('--mutex takes off a lock that was taken by a name, and says what that may do; its holder learns of it', async () => {
    const [one, two] = [manager({ leaseSec: 2 }), manager()]
    const hold = await one.mutex('report').lock({ label: 'cron' })
    let asked = ''
    const done = await tool(['unlock', '--mutex', 'report'], { answer: (question) => ((asked = question), 'y') })
    expect(asked).toMatch(/^The lock "report" is held by .*cron.*two may work at once/)
    expect([done.exitCode, jsonOf(done)]).toMatchObject([0, { mutex: 'report', unlocked: true, holder: { label: 'cron' } }])
    await (await two.mutex('report').lock()).release()
    await expect.poll(() => hold.signal.aborted).toBe(true)
    const free = await tool(['unlock', '--yes', '--mutex', 'report'])
    expect([free.exitCode, jsonOf(free)]).toEqual([1, { mutex: 'report', unlocked: false, reason: 'free' }])
  })

  it('refuses when the lock is another by the time of the answer', async () => {
    const one = manager()
    const held = await one.start('an-id')
    const answer = async (): Promise<string> => {
      await held.abort()
      next = await one.start('an-id', { label: 'next' })
      return 'y'
    }
    let next = held
    const outcome = await tool(['unlock', 'an-id'], { answer })
    expect([outcome.exitCode, jsonOf(outcome)]).toMatchObject([4, { unlocked: false, reason: 'changed' }])
    expect(await one.holder('an-id')).toMatchObject({ label: 'next' })
    await next.abort()
  })

  it('refuses when the lock went away, or was renewed, meanwhile', async () => {
    const one = manager({ leaseSec: 2 })
    const held = await one.start('an-id')
    const gone = await tool(['unlock', 'an-id'], {
      answer: async () => {
        await held.abort()
        return 'y'
      },
    })
    expect(gone.exitCode).toBe(4)
    // A lease of two seconds is renewed after half a second: its holder lives.
    const living = await one.start('an-id')
    const flights = one.stats().flights
    const renewed = await tool(['unlock', 'an-id'], {
      answer: async () => {
        await expect.poll(() => one.stats().flights).toBeGreaterThan(flights)
        return 'y'
      },
    })
    expect(renewed.exitCode).toBe(4)
    expect(living.signal.aborted).toBe(false)
    await living.abort()
  })

  it('does not mistake the lock of a restarted server for the one that was shown', async () => {
    const server = await MemcachedServer.start()
    const env = { LATCHKEY_SAVE_PATH: `tcp://${server.address}` }
    const put = (): Promise<string> => server.commandText('set sess:an-id-lck 0 60 3\r\none')
    await put()
    // CAS numbers begin anew: the other lock has the one that was shown.
    const same = await latchkey(['unlock', 'an-id'], {
      env,
      answer: async () => {
        await server.restart()
        await server.commandText('set sess:an-id-lck 0 60 3\r\ntwo')
        return 'y'
      },
    })
    expect(same.exitCode).toBe(4)
    expect(await server.commandText('get sess:an-id-lck')).toContain('two')
    const dead = await latchkey(['unlock', 'an-id', '--deadline-ms', '300'], {
      env,
      answer: async () => {
        await server.kill()
        return 'y'
      },
    })
    expect(dead.exitCode).toBe(3)
    await server.stop()
  })

  it('cannot tell locks apart on a server without CAS, and says so', async () => {
    await using server = await MemcachedServer.start({ args: ['-C'] })
    await server.commandText('set sess:an-id-lck 0 60 3\r\none')
    const env = { LATCHKEY_SAVE_PATH: `tcp://${server.address}` }
    const { exitCode, err } = await latchkey(['unlock', '--yes', 'an-id'], { env })
    expect([exitCode, err]).toEqual([5, expect.stringContaining('-C')])
    expect(await server.commandText('get sess:an-id-lck')).toContain('one')
  })

  it('ctrl-C at the question leaves the lock alone', async () => {
    const one = manager()
    const held = await one.start('an-id')
    const interruption = new AbortController()
    const outcome = await tool(['unlock', 'an-id'], {
      signal: interruption.signal,
      answer: () => {
        interruption.abort(new Error('interrupted'))
        return 'y'
      },
    })
    expect(outcome.exitCode).toBe(130)
    expect(await one.holder('an-id')).toBeDefined()
    await held.abort()
  })
})
