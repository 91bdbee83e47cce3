/** The key dump on an operator's connection: against real servers with what stands in its way, and scripted ones. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { NotSupportedError, ServerRefusedError } from '../../src/errors.js'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire, type MemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { FlightError } from '../../src/wire/wire.js'
import { keysOf } from '../support/keys-of.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { serversOf } from '../support/servers.js'

const open: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end()
})

function wireTo(savePath: string, flightMs = 5000): MemcachedWire {
  const servers = serversOf(savePath)
  const wire = createMemcachedWire({ servers, clock: systemClock, flightMs })
  open.push(() => wire.close())
  return wire
}

async function memcached(...args: string[]): Promise<MemcachedServer> {
  const server = await MemcachedServer.start({ args })
  open.push(() => server.stop())
  return server
}

const sortedKeysOf = async (wire: MemcachedWire, prefix: string): Promise<string[]> => (await keysOf(wire, prefix)).sort()

const add = (wire: MemcachedWire, ...keys: string[]): Promise<unknown> =>
  Promise.all(keys.map((key) => wire.flight(key, [{ op: 'add', key, value: Buffer.from('x'), ttlSec: 60 }])))

/** What is answered to lines of a form; `undefined` closes the connection. */
type Rule = readonly [RegExp, (nth: number, socket: Socket) => string | undefined]

/** A server that answers each line by the first rule that fits. */
async function scripted(rules: readonly Rule[]): Promise<string> {
  const counts = new Map<RegExp, number>()
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.setEncoding('latin1').on('data', (text: string) => {
      for (const line of text.split('\r\n').slice(0, -1)) {
        const rule = rules.find(([pattern]) => pattern.test(line))
        if (rule === undefined) {
          socket.write(line === 'version' ? 'VERSION 1.6.18\r\n' : 'ERROR\r\n')
          continue
        }
        const nth = (counts.get(rule[0]) ?? 0) + 1
        counts.set(rule[0], nth)
        const answer = rule[1](nth, socket)
        if (answer === undefined) socket.destroy()
        else socket.write(answer, 'latin1')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return `tcp://127.0.0.1:${String(address !== null && typeof address === 'object' ? address.port : 0)}`
}

const DUMP = /^lru_crawler metadump/

describe('the keys of a real memcached', () => {
  it('are those of the prefix, of every sign, on every server', async () => {
    const servers = [await memcached(), await memcached()]
    const wire = wireTo(servers.map(({ address }) => `tcp://${address}`).join(','))
    const odd = 'p%:!"#$&\'()*+,/;<=>?@[\\]^_`{|}~'
    const keys = [...Array.from({ length: 50 }, (_, index) => `p%:${String(index)}`), odd]
    await add(wire, ...keys, 'other', 'p', 'p%25:1')
    expect(await sortedKeysOf(wire, 'p%:')).toEqual([...keys].sort())
    expect(await sortedKeysOf(wire, '')).toHaveLength(keys.length + 3)
    expect(await sortedKeysOf(wire, 'none')).toEqual([])
  })

  it('include those that are written all the while, however many', async () => {
    const server = await memcached('-m', '64')
    const wire = wireTo(`tcp://${server.address}`)
    const keys = Array.from({ length: 3000 }, (_, index) => `k${String(index)}`)
    const value = Buffer.alloc(200)
    const write = (key: string): Promise<unknown> => wire.flight(key, [{ op: 'set', key, value, ttlSec: 60 }])
    await Promise.all(keys.map(write))
    let isOver = false
    const writer = (async () => {
      while (!isOver) await Promise.all(keys.slice(0, 500).map(write))
    })()
    for (let run = 0; run < 5; run++) expect(new Set(await sortedKeysOf(wire, 'k')).size).toBe(keys.length)
    isOver = true
    await writer
  })

  it('can be asked for by many at once: a server dumps for one after the other', async () => {
    const server = await memcached()
    const wire = wireTo(`tcp://${server.address}`)
    const keys = Array.from({ length: 500 }, (_, index) => `k${String(index)}`)
    await add(wire, ...keys)
    let warnings = 0
    const count = (): void => void warnings++
    process.on('warning', count)
    const lists = await Promise.all(Array.from({ length: 12 }, () => sortedKeysOf(wire, 'k')))
    process.off('warning', count)
    expect(lists.map(({ length }) => length)).toEqual(Array.from({ length: 12 }, () => keys.length))
    expect(warnings).toBe(0)
  })

  it.each([
    ['without its LRU crawler', ['-o', 'no_lru_crawler']],
    ['that forbids dumps', ['-X']],
  ])('%s cannot be had: a typed error that says what to do', async (_name, args) => {
    const server = await memcached(...args)
    const failed = sortedKeysOf(wireTo(`tcp://${server.address}`), '')
    await expect(failed).rejects.toBeInstanceOf(NotSupportedError)
    await expect(failed).rejects.toThrow(/no_lru_crawler/)
  })

  it('are dumped without CAS as well', async () => {
    const server = await memcached('-C')
    // Nothing but the dump: on such a server no session can be locked.
    await server.commandText('set a 0 9 1\r\nx')
    expect(await sortedKeysOf(wireTo(`tcp://${server.address}`), '')).toEqual(['a'])
  })

  it("need the text protocol's own login where there is one, and SASL's cannot be used", async () => {
    const directory = mkdtempSync(join(tmpdir(), 'latchkey-users-'))
    open.push(() => rmSync(directory, { recursive: true, force: true }))
    writeFileSync(join(directory, 'users'), 'me:p@ss\n')
    const { address } = await memcached('-Y', join(directory, 'users'))
    const wire = wireTo(`tcp://me:p%40ss@${address}?protocol=text`)
    await add(wire, 'a')
    expect(await sortedKeysOf(wire, '')).toEqual(['a'])
    const keysAt = (savePath: string): Promise<string[]> => sortedKeysOf(wireTo(savePath), '')
    await expect(keysAt(`tcp://me:wrong@${address}?protocol=text`)).rejects.toThrow(/refused the credentials/)
    await expect(keysAt(`tcp://${address}`)).rejects.toThrow(/wants credentials/)
    await expect(keysAt(`tcp://me:wrong@${address}`)).rejects.toBeInstanceOf(NotSupportedError)
  })

  it('of a server that is gone, or stands still, are a FlightError in time', async () => {
    const server = await memcached()
    const wire = wireTo(`tcp://${server.address}`, 200)
    await server.pause()
    await expect(sortedKeysOf(wire, '')).rejects.toThrow(/no answer within 200 ms/)
    server.resume()
    await server.kill()
    const refused = sortedKeysOf(wire, '')
    await expect(refused).rejects.toBeInstanceOf(FlightError)
    await expect(refused).rejects.toThrow(/ECONNREFUSED/)
  })
})

describe('the keys of a server that answers otherwise', () => {
  it('while another dump runs: waits, and tells it when that does not end', async () => {
    const busy = 'BUSY currently processing crawler request\r\n'
    const soon = await scripted([[DUMP, (nth) => (nth < 3 ? busy : 'key=a%20 exp=-1\nkey=%61b exp=9 la=1\nEND\r\n')]])
    expect(await sortedKeysOf(wireTo(soon), '')).toEqual(['a ', 'ab'])
    const never = await scripted([[DUMP, () => busy]])
    const wire = wireTo(never)
    const failed = sortedKeysOf(wire, '')
    await expect(failed).rejects.toBeInstanceOf(ServerRefusedError)
    await expect(failed).rejects.toThrow(/Try again/)
  })

  it('old: the walk of the LRU lists stands in for that of the hash table', async () => {
    const old = await scripted([
      [/metadump hash/, () => 'BADCLASS invalid class id\r\n'],
      [/metadump all/, () => 'key=a exp=-1\nEND\r\n'],
    ])
    expect(await sortedKeysOf(wireTo(old), '')).toEqual(['a'])
  })

  it.each([
    ['an ERROR', (): string => 'ERROR\r\n'],
    ['closing the connection', (): undefined => undefined],
  ])('a proxy, by %s: not supported', async (_name, answer) => {
    await expect(sortedKeysOf(wireTo(await scripted([[DUMP, answer]])), '')).rejects.toBeInstanceOf(NotSupportedError)
  })

  it('in pieces of any size', async () => {
    const answer = 'key=a%20b exp=-1 la=1\nkey=c exp=9\r\nEND\r\n'
    for (const size of [1, 2, 3, 7]) {
      const path = await scripted([
        [
          DUMP,
          (_nth, socket) => {
            const pieces = answer.match(new RegExp(`[^]{1,${String(size)}}`, 'g')) ?? []
            const next = (): void => {
              const piece = pieces.shift()
              if (piece !== undefined) socket.write(piece, () => setImmediate(next))
            }
            next()
            return ''
          },
        ],
      ])
      expect(await sortedKeysOf(wireTo(path), '')).toEqual(['a b', 'c'])
    }
  })

  it('a connection that breaks in the middle is no shorter list', async () => {
    const cut = await scripted([
      [
        DUMP,
        (_nth, socket) => {
          socket.end('key=a exp=-1\nkey=b')
          return ''
        },
      ],
    ])
    await expect(sortedKeysOf(wireTo(cut), '')).rejects.toBeInstanceOf(FlightError)
  })

  it('silence in the middle ends', async () => {
    const mute = await scripted([[DUMP, () => 'key=a exp=-1\n']])
    await expect(sortedKeysOf(wireTo(mute, 100), '')).rejects.toThrow(/no answer within 100 ms/)
  })

  it.each([
    ['something else than memcached', [[/version/, (): string => 'HTTP/1.1 400 Bad Request\r\n']]],
    ['a line without an end', [[DUMP, (): string => 'x'.repeat(9000)]]],
    ['lines that nothing was asked for', [[/version/, (): string => 'VERSION 1.6.18\r\nVERSION 1.6.18\r\n']]],
  ] as const)('%s is a FlightError', async (_name, rules) => {
    await expect(sortedKeysOf(wireTo(await scripted(rules)), '')).rejects.toBeInstanceOf(FlightError)
  })

  it('closing the wire ends a dump under way, also one that waits', async () => {
    for (const answer of ['key=a exp=-1\n', 'BUSY\r\n']) {
      let arrived: () => void = () => undefined
      const asked = new Promise<void>((resolve) => (arrived = resolve))
      const path = await scripted([
        [
          DUMP,
          () => {
            arrived()
            return answer
          },
        ],
      ])
      const wire = wireTo(path, 60_000)
      const failed = sortedKeysOf(wire, '')
      failed.catch(() => undefined)
      await asked
      await wire.close()
      await expect(failed).rejects.toBeInstanceOf(FlightError)
    }
  })
})
