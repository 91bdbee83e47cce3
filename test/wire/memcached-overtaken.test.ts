/** A proxy with several connections to a server lets commands overtake each other: what was read too early tells no version. */
import { expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { serversOf } from '../support/servers.js'
import { ScriptedServer } from './memcached-scripted-server.js'

it.each([
  ['the version that was replaced', '7', undefined],
  ['a new version', '8', '8'],
])('a lock that is kept has the same bytes before and after: %s', async (_what, version, told) => {
  await using server = await ScriptedServer.start({
    onRequest: (socket) => void socket.write(`STORED\r\nVA 5 klock f0 c${version}\r\ntoken\r\n`),
  })
  const wire = createMemcachedWire({ servers: serversOf(`tcp://127.0.0.1:${String(server.port)}?protocol=text`), clock: systemClock })
  const cas = { version: '7', asOf: Infinity }
  const [kept] = await wire.flight('visitor', [{ op: 'cas', key: 'lock', value: 'token', ttlSec: 15, cas, wantCas: true }])
  expect(kept).toMatchObject({ status: 'ok', cas: told === undefined ? undefined : { version: told } })
  await wire.close()
})
