/** What the error says when a server cannot be used: what happened first, and not that no connection came free. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { peerOf } from '../../src/wire/memcached/peer.js'
import { Opening } from '../../src/wire/socket/opening.js'
import { FlightError } from '../../src/wire/wire.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { serverOf, serversOf } from '../support/servers.js'
import { ScriptedServer } from './memcached-scripted-server.js'

/** The error of a flight to that save path. */
async function failureOf(savePath: string, flightMs = 20_000): Promise<FlightError> {
  const servers = serversOf(savePath)
  const wire = createMemcachedWire({ servers, clock: systemClock, flightMs })
  try {
    const error: unknown = await wire.flight('r', [{ op: 'get', key: 'k' }]).then(
      () => new Error('it flew'),
      (failure: unknown) => failure,
    )
    if (!(error instanceof FlightError)) throw error
    return error
  } finally {
    await wire.close()
  }
}

const local = (port: number, protocol = 'text'): string => `tcp://127.0.0.1:${String(port)}?protocol=${protocol}`
/** The deadline of a flight to a server that says nothing: long enough for a busy machine to connect in. */
const SILENT_MS = 3000
const NO_ANSWER = (protocol: string): string =>
  `it accepted the connection and did not answer (does it run, and is it memcached that speaks protocol=${protocol}?)`

describe.concurrent.each(['text', 'binary'])('%s: the error says what happened first', (protocol) => {
  it('a server that stands still', async () => {
    await using server = await MemcachedServer.start()
    await server.pause()
    const error = await failureOf(local(server.port, protocol), SILENT_MS)
    expect(error.message).toContain(NO_ANSWER(protocol))
    expect(error.cause).toMatchObject({ name: 'ConnectError' })
  })

  it('a server with no connection left', async () => {
    const words = 'ERROR Too many open connections\r\n'
    await using server = await ScriptedServer.start({ onRequest: () => undefined, onConnect: (socket) => socket.end(words) })
    const error = await failureOf(local(server.port, protocol))
    expect(error.message).toContain('all its connections are in use (Too many open connections)')
    expect(error.message).not.toMatch(/protocol|TLS/)
  })

  it('a server that is at its own limit', async () => {
    await using server = await MemcachedServer.start({ args: ['-c', '40'] })
    const strangers = Array.from({ length: 60 }, () => server.connect().on('error', () => undefined))
    await Promise.all(strangers.map((socket) => new Promise((done) => socket.once('connect', done).once('close', done))))
    expect((await failureOf(local(server.port, protocol))).message).toContain('Too many open connections')
    for (const socket of strangers) socket.destroy()
  })

  it('a server that is busy with what was sent before', async () => {
    await using server = await MemcachedServer.start()
    const servers = serversOf(local(server.port, protocol))
    const wire = createMemcachedWire({ servers, clock: systemClock, flightMs: 4000, connections: 1 })
    await wire.flight('r', [{ op: 'get', key: 'k' }])
    await server.pause()
    const sent = wire.flight('r', [{ op: 'get', key: 'k' }]).catch((error: unknown) => error)
    while (Object.values(wire.stats())[0]?.batches !== 2) await new Promise((resolve) => setImmediate(resolve))
    const waiting = wire.flight('r', [{ op: 'get', key: 'k' }])
    await expect(waiting).rejects.toThrow('All that are open wait for its answers')
    expect(await sent).toMatchObject({ outcome: 'unknown' })
    await wire.close()
  })

  it('a server that speaks the other protocol only', async () => {
    const other = protocol === 'text' ? 'binary' : 'ascii'
    await using server = await MemcachedServer.start({ args: ['-B', other] })
    const { message } = await failureOf(local(server.port, protocol), SILENT_MS)
    expect(message).toMatch(/protocol=|SASL/)
    expect(message).not.toMatch(/came free in time\.$/)
  })

  it('a server that speaks no TLS', async () => {
    await using server = await MemcachedServer.start()
    const { message } = await failureOf(`tls://127.0.0.1:${String(server.port)}?protocol=${protocol}`)
    expect(message).toContain('TLS')
  })
})

describe('the error says what happened first', () => {
  it('a login is wanted', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'latchkey-messages-'))
    try {
      writeFileSync(join(directory, 'users'), 'me:secret\n')
      await using server = await MemcachedServer.start({ args: ['-Y', join(directory, 'users')] })
      expect((await failureOf(local(server.port))).message).toContain('the server wants credentials')
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('one that closes in the handshake may be a proxy as well', async () => {
    await using server = await ScriptedServer.start({
      onRequest: () => undefined,
      onConnect: (socket) => socket.once('data', () => socket.end()),
    })
    expect((await failureOf(local(server.port))).message).toContain('twemproxy')
  })

  it('a name server that does not answer', () => {
    const opening = new Opening(peerOf(serverOf('tcp://cache.example:11211')), 0)
    expect(opening.awaited).toContain('PEM')
    const socket = new Socket()
    opening.follow(socket)
    expect(opening.awaited).toBe('its name was not resolved (check the name server)')
    socket.emit('lookup', null, '127.0.0.1', 4, 'cache.example')
    expect(opening.awaited).toBe('it did not accept the connection')
    socket.emit('connect')
    expect(opening.awaited).toBe(NO_ANSWER('text'))
  })
})
