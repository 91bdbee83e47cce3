import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { playRaces } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { RedisProcess, VALKEY } from '../support/redis-server.js'
import { redisSubject } from '../support/redis-subject.js'
import { itConforms } from '../wire/conformance.js'

/** What is true on Redis is true on Valkey, by the same save path. */

const binary = VALKEY ?? ''

describe.skipIf(binary === '')(`on Valkey${binary === '' ? ' (skipped: scripts/test-valkey.sh found none)' : ''}`, () => {
  // As on Redis: its clients' buffers count as memory, so that it is full for a moment longer than the suite waits.
  itConforms('valkey', (options) => redisSubject(options, { binary }), /^out of memory/)

  it('the race kit survives every story', async () => {
    await using server = await RedisProcess.start({ binary })
    expect(await server.command('INFO server')).toContain('server_name:valkey')
    const manager = new SessionManager({ savePath: server.savePath })
    const options = { secret: 's', resave: false, saveUninitialized: false }
    const results = await playRaces({ middleware: () => latchkey({ manager, ...options }), patienceMs: 200 })
    expect(results.filter(({ survived }) => !survived)).toEqual([])
    await manager.close()
  })
})
