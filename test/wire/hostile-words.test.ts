/** What a server says stands in messages, and messages in terminals: short there, and without signs that a terminal obeys. */
import { createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { dumpKeys } from '../../src/wire/memcached/operator/key-dump.js'
import { OperatorConnection } from '../../src/wire/memcached/operator/operator-connection.js'
import { readSavePath } from '../../src/wire/open-wire.js'
import { redirectIn } from '../../src/wire/redis/cluster/redirect.js'
import { slotRangesIn } from '../../src/wire/redis/cluster/slot-table.js'
import { SCRIPT_SHA } from '../../src/wire/redis/script.js'
import { reasonIn } from '../../src/wire/socket/opening.js'
import type { Wire } from '../../src/wire/wire.js'
import { failureOf } from '../support/flight-failure.js'
import { ScriptedRedis } from '../support/scripted-redis.js'
import { serverOf } from '../support/servers.js'
import { latchkey } from '../cli/tool.js'

const EVIL = `\u001b]0;owned\u0007\u001b[2J\u009b31m${'x'.repeat(5000)}`
const LONGEST_MESSAGE = 700
const FLIGHT_MS = 10_000

/** Answers the n-th chunk of a connection with the n-th text, and what comes later with the last one. */
async function serverThatSays(...texts: readonly [string, ...string[]]): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    let chunks = 0
    sockets.add(socket)
    socket.on('error', () => undefined).on('data', () => socket.write(texts[Math.min(chunks++, texts.length - 1)] ?? '', 'latin1'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function expectHarmless(message: string): void {
  // Of JSON's own lines, and of a tool's.
  expect(message.replaceAll('\n', '')).toMatch(/^[\x20-\x7e]*$/)
  expect(message.length).toBeLessThan(LONGEST_MESSAGE)
}

function expectHarmlessAll(error: unknown): void {
  for (let one = error; one instanceof Error; one = one.cause) expectHarmless(one.message)
}

async function firstKeyOf(wire: Wire): Promise<string> {
  for await (const key of wire.keys?.('p') ?? []) return key
  return 'none'
}

const redisError = `-ERR ${EVIL}\r\n`.repeat(4)

it.each([
  ['what is no memcached', 'tcp://127.0.0.1:PORT?protocol=text', [`HI ${EVIL}\r\n`]],
  ['what is no proxy', 'tcp://127.0.0.1:PORT?via=proxy', [`HI ${EVIL}\r\n`]],
  ['a login that is refused', 'tcp://me:secret@127.0.0.1:PORT?protocol=text', ['CLIENT_ERROR unauthenticated\r\n', `CLIENT_ERROR ${EVIL}\r\n`]],
  ['a flight', 'tcp://127.0.0.1:PORT?protocol=text', ['VERSION 1.6.18\r\nEND\r\nEND\r\n', `SERVER_ERROR ${EVIL}\r\n`]],
  ['a Redis that refuses all', 'redis://127.0.0.1:PORT', [redisError]],
  ['a Redis that refuses a login', 'redis://me:secret@127.0.0.1:PORT', [`-WRONGPASS ${EVIL}\r\n`.repeat(4)]],
  ['a Redis that refuses the script', 'redis://127.0.0.1:PORT', [`*4\r\n+mode\r\n+standalone\r\n+role\r\n+master\r\n-ERR ${EVIL}\r\n`]],
  ['a node of a cluster', 'redis+cluster://127.0.0.1:PORT', [redisError]],
  ['a Sentinel', 'redis+sentinel://127.0.0.1:PORT/main', [redisError]],
] as const)('%s', async (_what, path, texts) => {
  await using server = await serverThatSays(...(texts as readonly [string, ...string[]]))
  const wire = readSavePath(path.replace('PORT', String(server.port))).open({ clock: systemClock, flightMs: FLIGHT_MS, connections: 1 })
  expectHarmlessAll(await failureOf(wire))
  await wire.close()
})

it.each([
  ['its slots', /SLOTS/],
  ['its keys', /SCAN/],
])('a node of a cluster that does not tell %s', async (_what, refuses) => {
  await using node = await ScriptedRedis.start((words, { allSlots }) => (refuses.test(words.join(' ')) ? `-ERR ${EVIL}\r\n` : words[0] === 'CLUSTER' ? (words[1] === 'SLOTS' ? allSlots : '+\r\n') : ':1\r\n'))
  const wire = readSavePath(`redis+cluster://${node.address}`).open({ clock: systemClock, flightMs: FLIGHT_MS, connections: 1 })
  const error: unknown = await firstKeyOf(wire).then((key) => new Error(key), (failure: unknown) => failure)
  expect(error).toMatchObject({ message: expect.stringContaining('ERR ?') as string })
  expectHarmlessAll(error)
  await wire.close()
})

describe('a host that a cluster names comes into no name of a server', () => {
  it('unless it is one', () => {
    expect(redirectIn('MOVED 7 [::1]:6379')).toEqual({ kind: 'moved', place: { host: '::1', port: 6379 } })
    expect(redirectIn('MOVED 7 \u001b[2J:6379')).toEqual({ kind: 'elsewhere' })
    expect(slotRangesIn([[0, 5, ['Redis-1.example', 6379]]])).toMatchObject([{ primary: { host: 'redis-1.example' } }])
    expect(() => slotRangesIn([[0, 5, [EVIL, 6379]]])).toThrow('an answer to CLUSTER SLOTS that is none')
  })
})

describe("an operator's question", () => {
  const options = (port: number) => ({ server: serverOf(`tcp://127.0.0.1:${String(port)}`), clock: systemClock, silenceMs: FLIGHT_MS })

  it('to what is no memcached', async () => {
    await using server = await serverThatSays(`HI ${EVIL}\r\n`)
    expectHarmlessAll(await OperatorConnection.open(options(server.port)).catch((error: unknown) => error))
  })

  it('for its keys', async () => {
    await using server = await serverThatSays('VERSION 1.6.18\r\n', `CLIENT_ERROR ${EVIL}\r\n`)
    const dumped = dumpKeys(options(server.port), 'p').then(() => new Error('it was told'), (error: unknown) => error)
    expect(await dumped).toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED' })
    expectHarmlessAll(await dumped)
  })
})

const infoOf = (text: string): string => `$${String(text.length)}\r\n${text}\r\n`

it.each([
  ['memcached', 'tcp', ['VERSION 1.6.18\r\n', `STAT version 1.6.18?${EVIL}\r\nEND\r\n`]],
  ['Redis', 'redis', [`*4\r\n+mode\r\n+standalone\r\n+role\r\n+master\r\n$40\r\n${SCRIPT_SHA}\r\n`, '+PONG\r\n', infoOf(`redis_version:1.6.18?${EVIL}\r\n`), '*0\r\n']],
] as const)('what the tool says of a %s', async (_what, scheme, texts) => {
  await using server = await serverThatSays(...(texts as readonly [string, ...string[]]))
  const { out, err } = await latchkey(['stats'], { env: { LATCHKEY_SAVE_PATH: `${scheme}://127.0.0.1:${String(server.port)}` }, isRead: true })
  expect(out).toContain('1.6.18?')
  expectHarmless(out + err)
})

it('the names of a certificate', () => {
  expectHarmless(reasonIn(Object.assign(new Error(`not in the cert's altnames: ${EVIL}`), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })))
})
