import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SessionManager } from '../../src/index.js'
import { VirtualClock } from '../../src/testing/virtual-clock.js'
import { casOf, expectMissing, expectStored, run, stored, text } from '../../src/testing/wire-conformance/subject.js'
import { FileStore } from '../../src/wire/file/file-store.js'
import { createFileWire, type FileWire } from '../../src/wire/file/file-wire.js'
import { loadSqlite } from '../../src/wire/file/sqlite.js'
import type { Instant } from '../../src/wire/file/store-clock.js'
import { systemClock } from '../../src/system/clock.js'
import { killWriters } from '../support/disk-writers.js'
import { undoneAfterEach } from '../support/undo.js'

const SETTINGS = { survives: 'process', maxMiB: undefined, gcSec: 0 } as const
const { undo, newDirectory } = undoneAfterEach()

function wireTo(directory: string, more: Partial<Parameters<typeof createFileWire>[0]> = {}): FileWire {
  const wire = createFileWire({ settings: { ...SETTINGS, directory }, clock: systemClock, flightMs: 2000, ...more })
  undo.push(() => wire.close())
  return wire
}

const isLock = (key: string): boolean => key.endsWith('-lck')
const fileOf = (directory: string): string => join(directory, 'sessions.db')

/** A store whose clock says what it is told. */
async function storeAt(directory: string, now: () => Instant): Promise<FileStore> {
  const sqlite = await loadSqlite()
  let last = 0
  const name = `test${String(Math.random())}-`
  const nextVersion = (): string => `${name}${String(++last)}`
  const store = new FileStore({ sqlite, settings: { ...SETTINGS, directory }, directory, clock: { now }, nextVersion, isOfProcesses: isLock, mayMake: true })
  undo.push(() => {
    store.close()
  })
  return store
}

const add = (key: string, ttlSec = 10) => [{ op: 'add', key, value: 'x', ttlSec }] as const
const get = (key: string) => [{ op: 'get', key }] as const
const statusOf = (store: FileStore, flight: Parameters<FileStore['run']>[0][number]): string => {
  const [outcome] = store.run([flight])
  if (outcome === 'busy' || outcome === undefined) return 'busy'
  return outcome instanceof Error ? outcome.message : (outcome[0]?.status ?? 'none')
}

describe('a store on disk', () => {
  it('is a directory and a file of their owner alone', async () => {
    const directory = join(newDirectory(), 'made', 'for us')
    await stored(wireTo(directory), 'x')
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(directory)) expect([name, statSync(join(directory, name)).mode & 0o777]).toEqual([name, 0o600])
    expect(readdirSync(directory).sort()).toEqual(['sessions.db', 'sessions.db-open', 'sessions.db-shm', 'sessions.db-wal'])
  })

  it('is still there after its process has ended, and versions are never given again', async () => {
    const directory = newDirectory()
    const first = wireTo(directory)
    const { key, cas } = await stored(first, 'kept')
    await first.close()
    const second = wireTo(directory)
    await expectStored(second, key, 'kept', cas)
    await second.close()
    rmSync(fileOf(directory))
    const third = wireTo(directory)
    await run(third, { op: 'add', key, value: text('a stranger'), ttlSec: 100 })
    expect((await run(third, { op: 'cas', key, value: text('x'), ttlSec: 100, cas })).status).toBe('exists')
    expect((await run(third, { op: 'cad', key, cas })).status).toBe('exists')
  })

  it('refuses a directory that others can write to, and what is no directory, and says what to do', async () => {
    const directory = newDirectory()
    chmodSync(directory, 0o770)
    const manager = new SessionManager({ savePath: `file:${directory}` })
    undo.push(() => manager.close())
    await expect(manager.start('sid')).rejects.toMatchObject({
      code: 'LATCHKEY_NOT_SUPPORTED',
      message: expect.stringContaining(`chmod 700 ${directory}`) as string,
    })
    expect(existsSync(fileOf(directory))).toBe(false)
    // Mended meanwhile: the next one finds it well.
    chmodSync(directory, 0o700)
    await (await manager.start('sid')).release()
    writeFileSync(join(directory, 'plain'), 'x')
    await expect(wireTo(join(directory, 'plain')).flight('k', get('k'))).rejects.toMatchObject({ outcome: 'not-sent' })
  })

  it('refuses a file that others can write to', async () => {
    const directory = newDirectory()
    const first = wireTo(directory)
    await stored(first, 'x')
    await first.close()
    chmodSync(fileOf(directory), 0o666)
    const manager = new SessionManager({ savePath: `file:${directory}` })
    undo.push(() => manager.close())
    await expect(manager.start('sid')).rejects.toMatchObject({
      code: 'LATCHKEY_NOT_SUPPORTED',
      message: expect.stringContaining(`chmod 600 ${fileOf(directory)}`) as string,
    })
  })

  it('that is full can still be read, and its sessions ended, which makes room', async () => {
    const manager = new SessionManager({ savePath: `file:${newDirectory()}?maxMiB=1` })
    undo.push(() => manager.close())
    const store = (id: string): Promise<void> => manager.run(id, ({ data }) => {
      data['x'] = 'x'.repeat(30_000)
    })
    const fill = async (): Promise<void> => {
      for (let n = 0; n < 50; n++) await store(`id${String(n)}`)
    }
    await expect(fill()).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_REFUSED' })
    expect(await manager.peek('id0')).toHaveProperty('x')
    const held = await manager.start('id1')
    await held.destroy()
    await manager.destroy('id2')
    expect([await manager.peek('id1'), await manager.peek('id2')]).toEqual([undefined, undefined])
    await store('new')
  })

  it('says it where the disk cannot be written to', async () => {
    await expect(wireTo('/proc/latchkey').flight('k', get('k'))).rejects.toMatchObject({ name: 'FlightError', outcome: 'not-sent' })
  })
})

describe('time in a store on disk', () => {
  const start: Instant = { wallMs: 1_000_000_000, bootMs: 50_000, boot: 7 }

  it('a wall clock that is set frees no lock, and keeps none', async () => {
    let now = start
    const store = await storeAt(newDirectory(), () => now)
    expect(statusOf(store, add('s-lck'))).toBe('ok')
    for (const wallMs of [start.wallMs + 86_400_000, start.wallMs - 86_400_000]) {
      now = { ...start, wallMs }
      expect(statusOf(store, add('s-lck'))).toBe('exists')
    }
    now = { ...start, wallMs: 0, bootMs: start.bootMs + 10_000 }
    expect(statusOf(store, add('s-lck'))).toBe('ok')
  })

  it('records are counted on the wall clock, and outlive the machine; locks end with it', async () => {
    let now = start
    const store = await storeAt(newDirectory(), () => now)
    for (const key of ['s', 's-lck']) expect(statusOf(store, add(key, 1000))).toBe('ok')
    now = { wallMs: start.wallMs + 900_000, bootMs: 100, boot: 8 }
    expect([statusOf(store, get('s')), statusOf(store, get('s-lck'))]).toEqual(['ok', 'missing'])
    now = { ...now, wallMs: start.wallMs + 1_000_000 }
    expect(statusOf(store, get('s'))).toBe('missing')
  })

  it('where the machine does not say when it was started, a lock of an earlier start is told by its date', async () => {
    let now = start
    const store = await storeAt(newDirectory(), () => now)
    expect(statusOf(store, add('s-lck'))).toBe('ok')
    now = { ...start, bootMs: 100 }
    expect(statusOf(store, add('s-lck'))).toBe('ok')
  })

  it('a process that was stopped does not take a lock that was set meanwhile for one of an earlier start', async () => {
    const directory = newDirectory()
    let seenMs = 0
    const other = await storeAt(directory, () => ({ ...start, bootMs: start.bootMs + 60_000 }))
    let theirs: string | undefined
    const stopped = await storeAt(directory, () => {
      // It read the clock, and was stopped; the other one has all the time of a minute.
      if (theirs !== undefined) return { ...start, bootMs: start.bootMs + 60_000 + seenMs++ }
      theirs = statusOf(other, add('s-lck'))
      return start
    })
    const mine = statusOf(stopped, add('s-lck'))
    expect([mine, theirs]).not.toEqual(['ok', 'ok'])
  })

  it('lives on the clock that it was given', async () => {
    const clock = new VirtualClock()
    const wire = wireTo(newDirectory(), { clock, isOfProcesses: isLock })
    for (const key of ['s', 's-lck']) await run(wire, { op: 'add', key, value: 'x', ttlSec: 5 })
    await clock.advance(4999)
    await expectStored(wire, 's', 'x')
    await expectStored(wire, 's-lck', 'x')
    await clock.advance(1)
    await expectMissing(wire, 's')
    await expectMissing(wire, 's-lck')
  })
})

describe('a store on disk that others use', () => {
  it('who only asks waits for no writer, and who writes waits without holding up the event loop', async () => {
    const directory = newDirectory()
    const wire = wireTo(directory, { flightMs: 1000 })
    const { key } = await stored(wire, 'x')
    const writer = (await loadSqlite()).open(fileOf(directory))
    writer.exec('BEGIN IMMEDIATE')
    let turns = 0
    const turning = setInterval(() => turns++, 1)
    const [read, taken, write] = await Promise.allSettled([
      wire.flight(key, get(key)),
      wire.flight(key, add(key)),
      wire.flight(key, add('new')),
    ])
    clearInterval(turning)
    writer.exec('COMMIT')
    writer.close()
    expect(read).toMatchObject({ status: 'fulfilled', value: [{ status: 'ok' }] })
    expect(taken).toMatchObject({ status: 'fulfilled', value: [{ status: 'exists' }] })
    expect(write).toMatchObject({ status: 'rejected', reason: { name: 'FlightError', outcome: 'not-sent' } })
    expect(turns).toBeGreaterThan(20)
    expect((await run(wire, { op: 'add', key: 'new', value: 'x', ttlSec: 9 })).status).toBe('ok')
  })

  it('who only asks waits for no writer, however many writers wait', async () => {
    const directory = newDirectory()
    const wire = wireTo(directory, { flightMs: 60_000 })
    const { key } = await stored(wire, 'x')
    const writer = (await loadSqlite()).open(fileOf(directory))
    writer.exec('BEGIN IMMEDIATE')
    const writes = Array.from({ length: 500 }, (_, index) => wire.flight(key, add(`new-${String(index)}`)))
    await new Promise((resolve) => setTimeout(resolve, 20))
    const read = await wire.flight(key, get(key))
    writer.exec('COMMIT')
    writer.close()
    expect(read).toMatchObject([{ status: 'ok' }])
    for (const write of await Promise.all(writes)) expect(write).toMatchObject([{ status: 'ok' }])
  })

  it('of writers that are killed at any moment, no acknowledged write is lost, and none is torn', async () => {
    const directory = newDirectory()
    const report = await killWriters(`file:${directory}`, 2, () => 50 + Math.random() * 200)
    expect(report).toMatchObject({ lost: [], overwritten: 0, torn: 0, failures: [] })
    expect(report.acknowledged).toBeGreaterThan(20)
    expect(await integrityOf(directory)).toBe('ok')
  })
})

async function integrityOf(directory: string): Promise<unknown> {
  const database = (await loadSqlite()).open(fileOf(directory))
  const [row] = database.prepare<{ integrity_check: string }>('PRAGMA integrity_check').all()
  database.close()
  return row?.integrity_check
}

describe('a store on disk that came to harm', () => {
  /** A session is stored; `harm` is done; what a request is told then. */
  async function toldAfter(harm: (directory: string) => void, reopens: boolean): Promise<unknown> {
    const directory = newDirectory()
    const open = (): SessionManager => {
      const manager = new SessionManager({ savePath: `file:${directory}`, waitMs: 0 })
      undo.push(() => manager.close({ graceMs: 0 }))
      return manager
    }
    let manager = open()
    for (let i = 0; i < 40; i++) {
      const session = await manager.start<{ x: string }>(`sid${String(i)}`)
      session.data.x = 'x'.repeat(2000)
      await session.release()
    }
    if (reopens) await manager.close()
    harm(directory)
    if (reopens) manager = open()
    const told: unknown[] = []
    for (let i = 0; i < 40; i++) {
      try {
        const session = await manager.start<{ x: string }>(`sid${String(i)}`)
        told.push(session.data.x === undefined ? 'EMPTY' : 'stored')
        await session.release()
      } catch (error) {
        told.push(error instanceof Error && 'code' in error ? error.code : error)
      }
    }
    return [...new Set(told)].sort()
  }

  const gone = (directory: string): void => {
    rmSync(directory, { recursive: true })
  }
  const cut = (bytes: number) => (directory: string) => {
    truncateSync(fileOf(directory), bytes)
  }
  const replaced = (directory: string): void => {
    rmSync(directory, { recursive: true })
    mkdirSync(directory, { mode: 0o700 })
  }

  it('a directory that is deleted while it is used is an error, and not an empty store', async () => {
    expect(await toldAfter(gone, false)).toEqual(['LATCHKEY_SERVER_UNAVAILABLE'])
    expect(await toldAfter(replaced, false)).toEqual(['LATCHKEY_SERVER_UNAVAILABLE'])
  })

  it.each([0, 100, 4096, 20_000])('a file that was cut off at %i bytes is an error', async (bytes) => {
    expect(await toldAfter(cut(bytes), true)).toEqual(['LATCHKEY_SERVER_UNAVAILABLE'])
  })

  it('a file that is cut off while it is used is an error', async () => {
    const told = await toldAfter(cut(0), false)
    expect(told).not.toContain('EMPTY')
  })

  it('pages that are overwritten are an error', async () => {
    const told = await toldAfter((directory) => {
      const bytes = readFileSync(fileOf(directory))
      for (let at = 4096; at < bytes.length; at += 4096) bytes.fill(0xa5, at, at + 64)
      writeFileSync(fileOf(directory), bytes)
    }, true)
    expect(told).toEqual(['LATCHKEY_SERVER_UNAVAILABLE'])
  })

  it('what is no database of ours, or of another version, is left alone', async () => {
    for (const pragma of ['application_id = 17', 'user_version = 2', 'user_version = 4']) {
      const directory = newDirectory()
      const first = wireTo(directory)
      await stored(first, 'x')
      await first.close()
      const database = (await loadSqlite()).open(fileOf(directory))
      database.exec(`PRAGMA ${pragma}`)
      database.close()
      const manager = new SessionManager({ savePath: `file:${directory}` })
      undo.push(() => manager.close())
      await expect(manager.start('sid')).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED' })
    }
    const directory = newDirectory()
    writeFileSync(fileOf(directory), 'something else entirely'.repeat(100), { mode: 0o600 })
    await expect(wireTo(directory).flight('k', get('k'))).rejects.toMatchObject({ name: 'FlightError', outcome: 'not-sent' })
  })
})

describe('clearing a store on disk', () => {
  it('gc removes what has expired, and says how many records went', async () => {
    const clock = new VirtualClock()
    const wire = wireTo(newDirectory(), { clock, isOfProcesses: isLock })
    const { key } = await stored(wire, 'stays')
    const adds = Array.from({ length: 250 }, (_, i) => ({ op: 'add', key: `k${String(i)}`, value: 'x', ttlSec: 5 }) as const)
    await wire.flight('', [...adds, { op: 'add', key: 'a-lck', value: 'x', ttlSec: 5 }])
    expect(await wire.sweep()).toBe(0)
    await clock.advance(5000)
    expect(await wire.sweep()).toBe(250)
    expect(await wire.sweep()).toBe(0)
    await expectStored(wire, key, 'stays')
  })

  it('is done by itself, by one of the processes', async () => {
    const directory = newDirectory()
    const store = await storeAt(directory, () => ({ wallMs: Date.now() + 10_000, bootMs: 0, boot: 1 }))
    const wire = wireTo(directory, { settings: { ...SETTINGS, directory, gcSec: 1 } })
    const { key } = await stored(wire, 'stays')
    await run(wire, { op: 'add', key: 'goes', value: 'x', ttlSec: 1 })
    await expect.poll(() => store.ask('SELECT key FROM item')).toEqual([{ key }])
  })

  it('a version that was read is as good as ever after it', async () => {
    const wire = wireTo(newDirectory())
    const { key, cas } = await stored(wire, 'x')
    await wire.sweep()
    expect(casOf(await run(wire, { op: 'get', key }))).toEqual(cas)
  })
})

it('the locks that a turn takes are written with few pages, however many records there are', async () => {
  const directory = newDirectory()
  const wire = wireTo(directory, { isOfProcesses: isLock })
  const keys = Array.from({ length: 640 }, (_, at) => `k${String(at).padStart(4, '0')}`)
  for (const key of keys) await wire.flight('', [{ op: 'set', key, value: Buffer.alloc(400), ttlSec: 1000 }])
  const logBytes = (): number => statSync(`${fileOf(directory)}-wal`).size
  const before = logBytes()
  await Promise.all(keys.filter((_, at) => at % 10 === 0).map((key) => wire.flight('', add(`${key}-lck`))))
  expect(logBytes() - before).toBeLessThan(16 * 4200)
})

it('the log of a store on disk is kept short by what was written, and not by how often', async () => {
  const directory = newDirectory()
  const wire = wireTo(directory, { flightMs: 60_000 })
  const value = Buffer.alloc(200_000, 'x')
  const turn = async (): Promise<void> => {
    await Promise.all(Array.from({ length: 64 }, (_, at) => wire.flight('k', [{ op: 'set', key: `k${String(at)}`, value, ttlSec: 1000 }])))
  }
  for (let turns = 0; turns < 10; turns++) await turn()
  // A log that was just copied while others wrote is cut by the next copy: it is due after 32 MiB more, in a moment without writers.
  const bytesAfterTurn = async (): Promise<number> => {
    await turn()
    return statSync(`${fileOf(directory)}-wal`).size
  }
  // 64 MiB, and a turn; 134 MiB are written by now, and a log without an end gets longer with each look.
  await expect.poll(bytesAfterTurn).toBeLessThan(80 * 1024 * 1024)
})
