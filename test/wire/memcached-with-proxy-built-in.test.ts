/** A memcached that has the proxy built in, as Debian 13's, and does not run as one, is a memcached like any other. */
import { SessionManager } from 'latchkey'
import { expect, it } from 'vitest'
import { PROTOCOLS } from '../support/memcached-subject.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { memcachedWithExplicitVersions, missingProxy } from '../support/proxies.js'

const binary = memcachedWithExplicitVersions

it.skipIf(binary === undefined).each(PROTOCOLS)(`%s: it keeps sessions${missingProxy('proxy')}`, async (protocol) => {
  await using server = await MemcachedServer.start(binary === undefined ? {} : { binary })
  const manager = new SessionManager({ savePath: `tcp://${server.address}?protocol=${protocol}` })
  await manager.run('visitor', (session) => {
    session.data['user'] = 'ada'
  })
  expect(await manager.peek('visitor')).toEqual({ user: 'ada' })
  await manager.close()
})
