/** memcached before 1.6.18, whose meta commands cannot be used: it is spoken to as through a proxy. */
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { isSince } from '../../src/wire/memcached/release.js'
import type { Command, Reply, Wire } from '../../src/wire/wire.js'
import { failureOf } from '../support/flight-failure.js'
import { memcachedSubject, OLD_MEMCACHED } from '../support/memcached-subject.js'
import { serversOf } from '../support/servers.js'
import { itConformsToo } from './conformance.js'
import { ScriptedServer } from './memcached-scripted-server.js'

const FLIGHT: readonly Command[] = [
  { op: 'add', key: 'lock', value: 'token', ttlSec: 15 },
  { op: 'get', key: 'record' },
  { op: 'cad', key: 'lock', cas: { version: '7', asOf: Infinity } },
]
const BY_META = 'add lock 0 15 5\r\ntoken\r\nmg lock k f c v\r\nmg record k f c v\r\nmd lock C7\r\n'
const BY_OLDER_WORDS = 'add lock 0 15 5\r\ntoken\r\ngets lock\r\ngets record\r\ncas lock 0 2592001 0 7\r\n\r\n'
const ANSWERS_BY_META = 'STORED\r\nVA 5 klock f0 c7\r\ntoken\r\nEN krecord\r\nHD\r\n'
const ANSWERS = 'STORED\r\nVALUE lock 0 5 7\r\ntoken\r\nEND\r\nEND\r\nSTORED\r\n'

const serverThatSays = (release: string, answers: string): Promise<ScriptedServer> =>
  ScriptedServer.start({ release, onRequest: (socket) => void socket.write(answers) })

const wireTo = (port: number): Wire =>
  createMemcachedWire({ servers: serversOf(`tcp://127.0.0.1:${String(port)}?protocol=text`), clock: systemClock })

describe.skipIf(OLD_MEMCACHED === undefined)('memcached 1.6.9', () => {
  itConformsToo('memcached 1.6.9', (options) => memcachedSubject('text', options, OLD_MEMCACHED))
})

it.each([
  ['1.4.39', BY_OLDER_WORDS, ANSWERS],
  ['1.6.9', BY_OLDER_WORDS, ANSWERS],
  ['1.6.17', BY_OLDER_WORDS, ANSWERS],
  ['of something else', BY_OLDER_WORDS, ANSWERS],
  ['1.6.18', BY_META, ANSWERS_BY_META],
  ['1.6.38_debian', BY_META, ANSWERS_BY_META],
  ['1.7.0', BY_META, ANSWERS_BY_META],
  ['2.0', BY_META, ANSWERS_BY_META],
])('a server of release %s is asked by words that it has', async (release, asked, answers) => {
  await using server = await serverThatSays(release, answers)
  const wire = wireTo(server.port)
  const replies: Reply[] = await wire.flight('visitor', FLIGHT)
  expect(String(server.requests[0])).toBe(asked)
  expect(replies.map(({ status, cas }) => [status, cas?.version])).toEqual([['ok', '7'], ['missing', undefined], ['ok', undefined]])
  await wire.close()
})

it('a value that comes twice is believed by nobody', async () => {
  await using server = await serverThatSays('1.6.17', `STORED\r\n${'VALUE lock 0 5 7\r\ntoken\r\n'.repeat(2)}END\r\n`)
  const wire = wireTo(server.port)
  expect(await failureOf(wire, FLIGHT.slice(0, 1))).toMatchObject({ outcome: 'unknown' })
  await wire.close()
})

it.each([
  ['1.6.18', '1.6.18', true],
  ['1.6.9', '1.6.18', false],
  ['1.10.0', '1.6.18', true],
  ['2', '1.6.18', false],
  ['', '1.6.18', false],
])('%j is since %s: %s', (release, since, is) => {
  expect(isSince(release, since)).toBe(is)
})
