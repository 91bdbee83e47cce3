/** What a connection does when the server does what it should not. */
import type { Socket } from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire, type MemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { FlightError, type Command } from '../../src/wire/wire.js'
import { LagMeter } from '../faults/lag-meter.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { serversOf } from '../support/servers.js'
import { binaryReplies, binaryReply, binaryRequests, ScriptedServer } from './memcached-scripted-server.js'

const FLIGHT_MS = 400
/** For what is told at once, but needs a connection first, which on a busy machine takes its time. */
const PATIENT_MS = 20_000
/** For what is told by the deadline, and needs a connection first. */
const SILENT_MS = 1500
const GET: Command = { op: 'get', key: 'k' }
const ADD: Command = { op: 'add', key: 'k', value: Buffer.from('mine'), ttlSec: 9 }

function wireTo(port: number, protocol = 'text', flightMs = PATIENT_MS): MemcachedWire {
  const servers = serversOf(`tcp://127.0.0.1:${String(port)}?protocol=${protocol}`)
  return createMemcachedWire({ servers, clock: systemClock, flightMs })
}

const lag = new LagMeter()
afterAll(() => lag[Symbol.dispose]())

/** Milliseconds since then in which this process ran. */
function tookSince(startMs: number): number {
  const nowMs = performance.now()
  return nowMs - startMs - lag.between(startMs, nowMs)
}

interface Failure {
  readonly error: FlightError
  readonly tookMs: number
}

async function failureOf(wire: MemcachedWire, commands: readonly Command[]): Promise<Failure> {
  const startMs = performance.now()
  const error: unknown = await wire.flight('r', commands).then(
    () => new Error('it flew'),
    (failure: unknown) => failure,
  )
  if (!(error instanceof FlightError)) throw error
  return { error, tookMs: tookSince(startMs) }
}

describe.concurrent('opening a connection', () => {
  it('fails at once where nobody listens, and says why', async () => {
    const closed = await ScriptedServer.start({ onRequest: () => undefined })
    await closed[Symbol.asyncDispose]()
    const wire = wireTo(closed.port)
    const { error, tookMs } = await failureOf(wire, [GET])
    expect(error.outcome).toBe('not-sent')
    expect(error.message).toContain(`tcp://127.0.0.1:${String(closed.port)}: connect ECONNREFUSED`)
    expect(error.cause).toMatchObject({ name: 'ConnectError', cause: { code: 'ECONNREFUSED' } })
    expect(tookMs).toBeLessThan(FLIGHT_MS / 2)
    await wire.close()
  })

  it('fails every flight that waits for it, at once', async () => {
    const closed = await ScriptedServer.start({ onRequest: () => undefined })
    await closed[Symbol.asyncDispose]()
    const wire = wireTo(closed.port)
    const failures = await Promise.all(Array.from({ length: 50 }, () => failureOf(wire, [GET])))
    for (const { error, tookMs } of failures) {
      expect(error.outcome).toBe('not-sent')
      expect(tookMs).toBeLessThan(FLIGHT_MS / 2)
    }
    await wire.close()
  })

  it('does not hammer a server that is down, and notices quickly that it is back', async () => {
    let accepting = false
    const server = await ScriptedServer.start({
      onRequest: (socket) => socket.write('EN kk\r\n'),
      onConnect: (socket) => {
        if (!accepting) socket.destroy()
        else serveText(socket, 'EN kk\r\n')
      },
    })
    const wire = wireTo(server.port)
    const startMs = performance.now()
    let failures = 0
    while (performance.now() - startMs < 300) {
      await failureOf(wire, [GET])
      failures += 1
    }
    expect(failures).toBe(server.connections)
    expect(server.connections).toBeLessThanOrEqual(8)
    accepting = true
    const backMs = performance.now()
    await expect(wire.flight('r', [GET])).resolves.toHaveLength(1)
    expect(tookSince(backMs)).toBeLessThan(150)
    await wire.close()
    await server[Symbol.asyncDispose]()
  })

  it('gives up on a black hole before the flight is due', async () => {
    const hole = await ScriptedServer.start({ onRequest: () => undefined, onConnect: () => undefined })
    const wire = wireTo(hole.port, 'text', FLIGHT_MS)
    const { error, tookMs } = await failureOf(wire, [GET])
    expect(error.outcome).toBe('not-sent')
    expect(tookMs).toBeLessThan(FLIGHT_MS + 50)
    await wire.close()
    await hole[Symbol.asyncDispose]()
  })

  it.each([
    ['text', 'HTTP/1.1 400 Bad Request\r\n\r\n', "not memcached's text protocol"],
    ['binary', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'not the binary protocol'],
    ['text', 'VERSIOM 1.6.18\r\nEND\r\nEND\r\n', "not memcached's text protocol"],
  ])('says what is there instead, %s: %j', async (protocol, answer, message) => {
    const other = await ScriptedServer.start({
      onRequest: () => undefined,
      onConnect: (socket) => socket.once('data', () => socket.write(answer)),
    })
    const wire = wireTo(other.port, protocol)
    const { error } = await failureOf(wire, [GET])
    expect(error.outcome).toBe('not-sent')
    expect(error.message).toContain(message)
    await wire.close()
    await other[Symbol.asyncDispose]()
  })
})

/** Shakes hands, and answers everything with `answer`. */
function serveText(socket: Socket, answer: string): void {
  socket.once('data', () => {
    socket.write('VERSION 1.6.18\r\nEND\r\nEND\r\n')
    socket.on('data', () => socket.write(answer))
  })
}

type Fault = (socket: Socket, request: Buffer) => void

const SILENCE: Fault = () => undefined
const FIN: Fault = (socket) => socket.end()
const RST: Fault = (socket) => socket.resetAndDestroy()
const GARBAGE: Fault = (socket) => socket.write(Buffer.alloc(64, 0xa5))

const TEXT_FAULTS: readonly (readonly [string, Fault])[] = [
  ['silence', SILENCE],
  ['FIN', FIN],
  ['RST', RST],
  ['garbage, then silence', GARBAGE],
  ['a line without an end', (socket) => socket.write('x'.repeat(20_000))],
  ['half a reply, then silence', (socket) => socket.write('STORED\r\nVA 4 kk f0 c1\r\nmi')],
  ['half a reply, then FIN', (socket) => socket.end('STORED\r\nVA 4 kk f0 c1\r\nmi')],
  ['half a line, then FIN', (socket) => socket.end('STORED\r\nVA 4 k')],
  ['a value that was not asked for', (socket) => socket.write('STORED\r\nVA 4 kother f0 c1\r\nmine\r\n')],
  ['a value that is longer than it says', (socket) => socket.write('STORED\r\nVA 3 kk f0 c1\r\nmine\r\n')],
  ['a value of another word', (socket) => socket.write('STORED\r\nVB 4 kk f0 c1\r\nmine\r\n')],
  ['a value whose numbers are in its data', (socket) => socket.write('STORED\r\nVA 4 kk\r\n f0 c1\r\nmine\r\n')],
  ['a value with letters in its CAS', (socket) => socket.write('STORED\r\nVA 4 kk f0 c1a\r\nmine\r\n')],
  ['flags too long to be any', (socket) => socket.write('STORED\r\nVA 4 kk f0000000000000000 c1\r\nmine\r\n')],
  ['a value without CAS', (socket) => socket.write('STORED\r\nVA 4 kk f0\r\nmine\r\n')],
  ['a negative length', (socket) => socket.write('STORED\r\nVA -4 kk f0 c1\r\nmine\r\n')],
  ['a value without its key', (socket) => socket.write('STORED\r\nVA 4 f0 c1\r\nmine\r\n')],
  ['that there is none of another key', (socket) => socket.write('STORED\r\nEN kother\r\n')],
  ['the end of values', (socket) => socket.write('STORED\r\nEND\r\n')],
  ['the answer to another command', (socket) => socket.write('DELETED\r\nEN kk\r\n')],
  ['the data taken for a command', (socket) => socket.write('CLIENT_ERROR bad command line format\r\nERROR\r\n')],
]

const BINARY_FAULTS: readonly (readonly [string, Fault])[] = [
  ['silence', SILENCE],
  ['FIN', FIN],
  ['RST', RST],
  ['garbage', GARBAGE],
  ['half a header, then FIN', (socket, request) => socket.end(binaryReplies(request).subarray(0, 10))],
  ['half a body, then FIN', (socket, request) => socket.end(answer(request, { bodyBytes: 50 }))],
  ['half a body, then silence', (socket, request) => socket.write(answer(request, { bodyBytes: 50 }))],
  ['the wrong magic byte', (socket, request) => socket.write(answer(request, { magic: 0x80 }))],
  ['the wrong sequence number', (socket, request) => socket.write(answer(request, { opaque: 77 }))],
  ['another opcode', (socket, request) => socket.write(answer(request, { opcode: 0 }))],
  ['a length beyond all limits', (socket, request) => socket.write(answer(request, { bodyBytes: 0xfffffff0 }))],
  ['a request for credentials', (socket, request) => socket.write(answer(request, { status: 0x20 }))],
  ['a SASL list that was not asked for', (socket, request) => socket.write(answer(request, { opcode: 0x20 }))],
]

function answer(request: Buffer, changes: Partial<Parameters<typeof binaryReply>[0]>): Buffer {
  const [first] = binaryRequests(request)
  if (first === undefined) throw new Error('no request')
  return binaryReply({ ...first, ...changes })
}

describe.concurrent('a fault in flight', () => {
  const cases = [
    ...TEXT_FAULTS.map(([name, fault]) => ['text', name, fault] as const),
    ...BINARY_FAULTS.map(([name, fault]) => ['binary', name, fault] as const),
  ]
  it.each(cases)('%s, %s: unknown, and the next flight is none the worse', async (protocol, name, fault) => {
    const good = (request: Buffer): Buffer =>
      protocol === 'text' ? Buffer.from('STORED\r\nVA 4 kk f0 c7\r\nmine\r\n') : binaryReplies(request)
    await using server = await ScriptedServer.start({
      protocol,
      onRequest: (socket, request, count) => {
        if (count === 1) fault(socket, request)
        else socket.write(good(request))
      },
    })
    const isSilent = name.includes('silence')
    const wire = wireTo(server.port, protocol, isSilent ? SILENT_MS : undefined)
    const { error, tookMs } = await failureOf(wire, [ADD])
    expect(error.outcome).toBe('unknown')
    expect(error.untrusted).toBe(false)
    expect(error.message).toContain(`tcp://127.0.0.1:${String(server.port)}`)
    expect(tookMs).toBeLessThan((isSilent ? SILENT_MS : FLIGHT_MS) + 100)
    const [reply] = await wire.flight('r', [ADD])
    expect(reply?.status).toBe('ok')
    expect(server.connections).toBe(2)
    await wire.close()
  })

  it('a late reply reaches nobody', async () => {
    let late: Socket | undefined
    await using server = await ScriptedServer.start({
      onRequest: (socket, _request, count) => {
        if (count === 1) late = socket
        else socket.write('VA 5 kk f0 c2\r\nright\r\n')
      },
    })
    const wire = wireTo(server.port, 'text', SILENT_MS)
    expect((await failureOf(wire, [GET])).error.outcome).toBe('unknown')
    const next = wire.flight('r', [GET])
    late?.write('VA 5 kk f0 c1\r\nwrong\r\n')
    expect(String((await next)[0]?.value)).toBe('right')
    await wire.close()
  })

  it('data that nobody asked for ends an idle connection', async () => {
    await using server = await ScriptedServer.start({
      onRequest: (socket, _request, count) =>
        socket.write(count === 1 ? 'EN kk\r\nVA 5 kk f0 c1\r\nwrong\r\n' : 'VA 5 kk f0 c2\r\nright\r\n'),
    })
    const wire = wireTo(server.port)
    await wire.flight('r', [GET])
    expect(String((await wire.flight('r', [GET]))[0]?.value)).toBe('right')
    expect(server.connections).toBe(2)
    await wire.close()
  })

  it('what is answered in full before the fault counts, even in one batch', async () => {
    await using server = await ScriptedServer.start({
      onRequest: (socket) => socket.end('VA 1 ka f0 c5\r\nx\r\nDELETED\r\nSTOR'),
    })
    const wire = wireTo(server.port)
    const flights = await Promise.allSettled([
      wire.flight('r', [{ op: 'get', key: 'a' }]),
      wire.flight('r', [{ op: 'delete', key: 'a' }, ADD]),
      wire.flight('r', [GET]),
    ])
    expect(flights.map((flight) => flight.status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    for (const flight of flights.slice(1)) expect(flight).toMatchObject({ reason: { outcome: 'unknown' } })
    await wire.close()
  })

  it('a flight is answered as soon as its own replies are there', async () => {
    let hold: Socket | undefined
    await using server = await ScriptedServer.start({
      onRequest: (socket) => {
        hold = socket
        socket.write('VA 1 ka f0 c5\r\nx\r\n')
      },
    })
    const wire = wireTo(server.port, 'text', 5000)
    const first = wire.flight('r', [{ op: 'get', key: 'a' }])
    const second = wire.flight('r', [GET])
    expect((await first)[0]?.status).toBe('ok')
    hold?.write('EN kk\r\n')
    expect((await second)[0]?.status).toBe('missing')
    await wire.close()
  })

  it.each(['text', 'binary'] as const)('replies may come byte by byte, %s', async (protocol) => {
    const text = 'STORED\r\nVA 4 kk f0 c7\r\nmine\r\nVA 6 kbig f3 c8\r\na\r\nb\r\n\r\n'
    await using server = await ScriptedServer.start({
      protocol,
      onRequest: (socket, request) => {
        const [, second] = binaryRequests(request)
        const extras = Buffer.from([0, 0, 0, 3])
        const binary = (): Buffer =>
          Buffer.concat([
            answer(request, { cas: 7 }),
            binaryReply({ opcode: 0, opaque: second?.opaque ?? 0, cas: 8, extras, value: Buffer.from('a\r\nb\r\n') }),
          ])
        const bytes = protocol === 'text' ? Buffer.from(text) : binary()
        void trickle(socket, bytes)
      },
    })
    const wire = wireTo(server.port, protocol, 5000)
    const [added, read] = await wire.flight('r', [ADD, { op: 'get', key: 'big' }])
    expect(added).toMatchObject({ status: 'ok' })
    expect(added?.cas?.version).toMatch(/^0*7$/)
    expect(read).toMatchObject({ status: 'ok', flags: 3 })
    expect(String(read?.value)).toBe('a\r\nb\r\n')
    await wire.close()
  })
})

async function trickle(socket: Socket, bytes: Buffer): Promise<void> {
  for (const byte of bytes) {
    socket.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe.concurrent('the CAS of a text add', () => {
  it.each([
    ['the item is gone', 'STORED\r\nEN kk\r\n'],
    ['other bytes are there', 'STORED\r\nVA 4 kk f0 c7\r\nelse\r\n'],
    ['other flags are there', 'STORED\r\nVA 4 kk f1 c7\r\nmine\r\n'],
    ['the server cannot read', 'STORED\r\nSERVER_ERROR out of memory writing get response\r\n'],
  ])('is unknown if %s', async (_name, replies) => {
    await using server = await ScriptedServer.start({ onRequest: (socket) => socket.write(replies) })
    const wire = wireTo(server.port)
    const [reply] = await wire.flight('r', [ADD])
    expect(reply).toEqual({ status: 'ok', cas: undefined, value: undefined, flags: 0 })
    await wire.close()
  })

  it('comes with the occupant if there is one', async () => {
    await using server = await ScriptedServer.start({
      onRequest: (socket) => socket.write('NOT_STORED\r\nVA 6 kk f5 c7\r\ntheirs\r\nEN krecord\r\n'),
    })
    const wire = wireTo(server.port)
    const [added, lock, record] = await wire.flight('r', [ADD, GET, { op: 'get', key: 'record' }])
    expect(String(server.requests[0])).toBe('add k 0 9 4\r\nmine\r\nmg k k f c v\r\nmg record k f c v\r\n')
    expect(added).toMatchObject({ status: 'exists', flags: 5, cas: { version: '7' } })
    expect([String(added?.value), String(lock?.value), record?.status]).toEqual(['theirs', 'theirs', 'missing'])
    await wire.close()
  })
})

describe('a server that stands still', () => {
  it('is unknown for what was sent and not-sent for what was not, and all is well when it goes on', async () => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(server.port, 'text', SILENT_MS)
    await wire.flight('r', [GET])
    await server.pause()
    const { error, tookMs } = await failureOf(wire, [GET])
    expect(error.outcome).toBe('unknown')
    expect(tookMs).toBeLessThan(SILENT_MS + 100)
    const next = await failureOf(wire, [GET])
    expect(next.error.outcome).toBe('not-sent')
    server.resume()
    expect(await wire.flight('r', [GET])).toHaveLength(1)
    await wire.close()
  })
})
