/** Records, locks and waiting lines that hold anything: a typed error, never a crash, never a lock that stays. */
import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UndecodableError } from '../../src/errors.js'
import { WaitingLine } from '../../src/lock/fairness/waiting-line.js'
import { decode, jsonSerializer } from '../../src/session/serializer.js'
import { valueBytes } from '../../src/wire/wire.js'
import { anyText } from '../support/any-text.js'
import { runsOf } from '../support/matrix.js'
import { codeOf, World } from '../support/world.js'
import { timesLonger } from './times.js'

const RECORD = 'sess:sid'
const LOCK = 'sess:sid-lck'
const LINE = 'sess:sid-line'
const numRuns = runsOf(300) * timesLonger()

const NEARLY = ['{"n":1}', '{"__proto__":{"x":1}}', '{"constructor":{"prototype":{}}}', '[]', '1']

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  anyText({ maxLength: 100 }).map((text) => Buffer.from(text)),
  fc.json().map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 100 }).map((array) => Buffer.from([0, ...array])),
  // Nearly what the library writes.
  fc
    .tuple(fc.constantFrom(...NEARLY), fc.nat(20), fc.nat(255))
    .map(([text, at, byte]) => {
      const changed = Buffer.from(text)
      if (at < changed.length) changed.writeUInt8(byte, at)
      return changed
    }),
)

/** What a record may be that begins with a zero: it has a head, and says that it is more than its text. */
const REFUSALS = [
  ...['LATCHKEY_UNDECODABLE', 'LATCHKEY_RECORD_TRUNCATED', 'LATCHKEY_RECORD_INFLATES', 'LATCHKEY_UNKNOWN_KEY'],
]
const READ = Object.assign(new Error('it was read'), { code: 'read' })

async function put(world: World, key: string, value: Buffer, ttlSec = 60): Promise<void> {
  await world.server.flight('', [{ op: 'set', key, value, ttlSec }])
}

async function bytesAt(world: World, key: string): Promise<Buffer | undefined> {
  const [reply] = await world.server.flight('', [{ op: 'get', key }])
  return reply?.value === undefined ? undefined : valueBytes(reply.value)
}

describe('a record of any bytes', () => {
  it('is read as the text that it is, or refused, left alone, and not kept locked', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, async (record) => {
        const world = new World()
        await put(world, RECORD, record)
        const store = world.process().manager.store()
        if (record[0] === 0) {
          expect(['read', ...REFUSALS]).toContain(await codeOf(store.read('sid').then(() => Promise.reject(READ))))
          await store.close()
        } else if (isUtf8(record)) {
          expect(Buffer.from(await store.read('sid'))).toEqual(record)
          await store.close()
        } else {
          expect(await codeOf(store.read('sid'))).toBe('LATCHKEY_UNDECODABLE')
        }
        expect(await bytesAt(world, RECORD)).toEqual(record)
        expect(await bytesAt(world, LOCK)).toBeUndefined()
      }),
      { numRuns },
    )
  })

  it('is the data of a session, or refused, by start() and peek() alike', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, async (record) => {
        const world = new World()
        await put(world, RECORD, record)
        const { manager } = world.process()
        const peeked = await manager.peek('sid').then(
          (data) => ({ data: data ?? {} }),
          (error: unknown) => ({ error }),
        )
        const started = await manager.start('sid').then(
          async (session) => {
            await session.abort()
            return { data: session.data }
          },
          (error: unknown) => ({ error }),
        )
        if ('error' in started) expect(REFUSALS).toContain(await codeOf(manager.start('sid')))
        if ('error' in started || 'error' in peeked) expect(Object.keys(peeked)).toEqual(Object.keys(started))
        else expect(peeked.data).toEqual(started.data)
        expect(Object.prototype).not.toHaveProperty('x')
        expect(await bytesAt(world, RECORD)).toEqual(record)
        expect(await bytesAt(world, LOCK)).toBeUndefined()
      }),
      { numRuns },
    )
  })

  it('decode() is total, and never quotes a record whole', () => {
    fc.assert(
      fc.property(fc.oneof(anyText(), fc.json()), (text) => {
        try {
          expect(decode(jsonSerializer, 'sid', text)).toBeTypeOf('object')
        } catch (error) {
          expect(error).toBeInstanceOf(UndecodableError)
          if (error instanceof UndecodableError && text.length > 30) expect(error.message).not.toContain(text)
        }
      }),
      { numRuns: numRuns * 5 },
    )
  })
})

describe('a lock of any bytes', () => {
  it("is somebody else's: it is waited for, never freed, and the error says what it can", async () => {
    await fc.assert(
      fc.asyncProperty(bytes, async (value) => {
        const world = new World()
        await put(world, LOCK, value, 600)
        const { manager } = world.process({ waitMs: 2000 })
        const waiting = codeOf(manager.start('sid'))
        expect(await world.until(waiting)).toBe('LATCHKEY_LOCK_TIMEOUT')
        expect(await bytesAt(world, LOCK)).toEqual(value)
        await expect(manager.holder('sid')).resolves.toBeTypeOf('object')
        await world.evict(LOCK)
        const session = await world.until(manager.start('sid'))
        await session.abort()
        expect(await bytesAt(world, LOCK)).toBeUndefined()
      }),
      { numRuns: Math.ceil(numRuns / 5) },
    )
  })
})

describe('a waiting line of any bytes', () => {
  it('is learned, joined and left without harm', () => {
    fc.assert(
      fc.property(bytes, fc.uuid(), (value, self) => {
        const line = new WaitingLine(LINE, self)
        line.learn({ status: 'ok', value, flags: 0, cas: { version: '1', asOf: 0 } })
        const { next } = line
        expect(next === undefined || (next !== self && next !== '')).toBe(true)
        for (const command of [line.join(), line.remove(self), next === undefined ? undefined : line.remove(next)]) {
          if (command !== undefined) expect(command).toMatchObject({ key: LINE })
        }
        const joined = line.join()
        if (joined === undefined) return
        if (!('value' in joined)) throw new Error('a join stores')
        line.learn({ status: 'ok', value: valueBytes(joined.value), flags: 0, cas: { version: '2', asOf: 0 } })
        if (joined.value.length <= 4000) expect(line.join()).toBeUndefined()
      }),
      { numRuns: numRuns * 5 },
    )
  })

  it('costs fairness for a moment: two processes that contend are both served', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, async (value) => {
        const world = new World()
        await put(world, LINE, value, 600)
        const served = [0, 0]
        const compete = async (index: number): Promise<void> => {
          const { manager } = world.process()
          for (let turn = 0; turn < 8; turn++) {
            await manager.run('sid', () => world.pause(150))
            served[index] = (served[index] ?? 0) + 1
          }
        }
        await world.until(Promise.all([compete(0), compete(1), compete(0)]), 120_000)
        expect(served).toEqual([16, 8])
      }),
      { numRuns: Math.ceil(numRuns / 10) },
    )
  })
})
