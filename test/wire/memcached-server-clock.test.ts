/** Lifetimes over 30 days are dates, and it is the server who reads them: by its own clock, and not by ours. */
import { Socket } from 'node:net'
import { VirtualClock } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { createBinaryCodec } from '../../src/wire/memcached/binary-codec.js'
import type { Codec } from '../../src/wire/socket/codec.js'
import { CommandFlight } from '../../src/wire/socket/flight.js'
import { createTextCodec } from '../../src/wire/memcached/text-codec.js'
import { binaryReply, binaryRequests } from './memcached-scripted-server.js'

const DAY_SEC = 86_400
const TTL_SEC = 31 * DAY_SEC

interface Dialect {
  readonly make: (context: { socket: Socket; credentials: undefined; clock: VirtualClock }) => Codec
  /** Answers a handshake, or a question for the time that came with a batch. */
  readonly stats: (asked: Buffer, timeSec: number) => Buffer
  /** The lifetimes in a batch of stores, as they travel. */
  readonly exptimes: (batch: Buffer) => number[]
  /** Whether the batch asks for the time as well. */
  readonly asksTime: (batch: Buffer) => boolean
  /** A success for each store of a batch. */
  readonly stored: (batch: Buffer) => Buffer
}

const SET = 0x01
const STAT = 0x10

const text: Dialect = {
  make: createTextCodec,
  stats(asked, timeSec) {
    const stats = `STAT pid 1\r\nSTAT uptime 5\r\nSTAT time ${String(timeSec)}\r\nEND\r\n`
    return Buffer.from(asked.includes('version') ? `VERSION 1.6.18\r\n${stats}END\r\n` : stats)
  },
  exptimes: (batch) => [...batch.toString().matchAll(/^set \S+ \d+ (\d+) /gm)].map(([, exptime]) => Number(exptime)),
  asksTime: (batch) => batch.toString().endsWith('\r\nstats\r\n'),
  stored: (batch) => Buffer.from('STORED\r\n'.repeat(text.exptimes(batch).length)),
}

const binary: Dialect = {
  make: createBinaryCodec,
  stats(asked, timeSec) {
    const replies = binaryRequests(asked).flatMap(({ opcode, opaque }) =>
      opcode === STAT ? [binaryStat(opaque, timeSec), binaryReply({ opcode, opaque })] : opcode === SET ? [] : [binaryReply({ opcode, opaque })],
    )
    return Buffer.concat(replies)
  },
  exptimes(batch) {
    const found: number[] = []
    for (let at = 0; at + 24 <= batch.length; at += 24 + batch.readUInt32BE(at + 8)) {
      if (batch.readUInt8(at + 1) === SET) found.push(batch.readUInt32BE(at + 28))
    }
    return found
  },
  asksTime: (batch) => binaryRequests(batch).some(({ opcode }) => opcode === STAT),
  stored: (batch) => Buffer.concat(binaryRequests(batch).filter(({ opcode }) => opcode === SET).map(binaryReply)),
}

function binaryStat(opaque: number, timeSec: number): Buffer {
  const [name, value] = [Buffer.from('time'), Buffer.from(String(timeSec))]
  const stat = binaryReply({ opcode: STAT, opaque, value: Buffer.concat([name, value]) })
  stat.writeUInt16BE(name.length, 2)
  return stat
}

describe.each([
  ['text', text],
  ['binary', binary],
])('%s: dates are the server\'s own', (_name, dialect) => {
  function greeted(serverSec: number | undefined): { codec: Codec; clock: VirtualClock } {
    const clock = new VirtualClock()
    const asked: Buffer[] = []
    const socket = Object.assign(new Socket(), {
      write: (chunk: string | Buffer) => asked.push(Buffer.from(chunk)) > 0,
    })
    const codec = dialect.make({ socket, credentials: undefined, clock })
    let isReady = false
    codec.greet(() => (isReady = true))
    codec.feed(dialect.stats(Buffer.concat(asked), serverSec ?? NaN))
    expect(isReady).toBe(true)
    return { codec, clock }
  }

  /** Writes records with these lifetimes, lets the server store them, and says what it was sent. */
  function written(codec: Codec, ...ttlsSec: number[]): Buffer {
    const receiver = { landed: () => undefined, failed: (error: unknown) => expect.unreachable(String(error)) }
    const flights = ttlsSec.map((ttlSec) => {
      const set = { op: 'set', key: 'k', value: Buffer.from('x'), ttlSec } as const
      return new CommandFlight([set], receiver)
    })
    const batch = Buffer.from(codec.encode(flights))
    codec.feed(dialect.stored(batch))
    return batch
  }

  it('a clock that is 41 days behind ours, or ahead of it', () => {
    for (const awaySec of [-41 * DAY_SEC, 41 * DAY_SEC]) {
      const serverSec = Math.floor(new VirtualClock().wallMs() / 1000) + awaySec
      const { codec } = greeted(serverSec)
      expect(dialect.exptimes(written(codec, TTL_SEC, 30 * DAY_SEC))).toEqual([serverSec + TTL_SEC, 30 * DAY_SEC])
    }
  })

  it('goes on from the last reading by the monotonic clock', async () => {
    const { codec, clock } = greeted(1_000_000_000)
    await clock.advance(10_000)
    expect(dialect.exptimes(written(codec, TTL_SEC))).toEqual([1_000_000_010 + TTL_SEC])
  })

  it('a reading of more than a minute ago is renewed beside the next date, and only then', async () => {
    const { codec, clock } = greeted(1_000_000_000)
    await clock.advance(61_000)
    expect(dialect.asksTime(written(codec, 100))).toBe(false)
    const batch = written(codec, TTL_SEC)
    expect(dialect.asksTime(batch)).toBe(true)
    expect(codec.due).toBe(1)
    // Meanwhile the server's clock was put right by a day.
    codec.feed(dialect.stats(dialect === text ? Buffer.from('stats\r\n') : batch, 1_000_000_061 + DAY_SEC))
    expect(codec.due).toBe(0)
    const next = written(codec, TTL_SEC)
    expect(dialect.exptimes(next)).toEqual([1_000_000_061 + DAY_SEC + TTL_SEC])
    expect(dialect.asksTime(next)).toBe(false)
  })

  it('our own clock serves where the server does not tell its time', () => {
    const { codec, clock } = greeted(undefined)
    expect(dialect.exptimes(written(codec, TTL_SEC))).toEqual([Math.floor(clock.wallMs() / 1000) + TTL_SEC])
  })
})
