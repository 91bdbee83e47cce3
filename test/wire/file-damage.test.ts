import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SessionManager } from '../../src/index.js'
import { systemClock } from '../../src/system/clock.js'
import { FileStore } from '../../src/wire/file/file-store.js'
import type { Outcome } from '../../src/wire/file/outcome.js'
import { loadSqlite, type Sqlite } from '../../src/wire/file/sqlite.js'
import { storeClock } from '../../src/wire/file/store-clock.js'
import { playsAllRows } from '../support/matrix.js'

const SESSIONS = 40
const keyOf = (index: number): string => `latchkey:${String(index * 7919).padStart(24, '0')}`
/** Most have 300 to 1,000 bytes; every tenth takes pages of its own. */
const valueOf = (index: number): Buffer => Buffer.alloc(index % 10 === 9 ? 12_000 : 300 + index * 17, `value ${String(index)} `)
const PAGE_BYTES = 4096
/** One bit in so many bytes: of each kind of page, and of each part of a row. */
const STEP = playsAllRows ? 331 : 991

let directory: string
let file: string
let sqlite: Sqlite
let whole: Buffer

function openStore(isOfProcesses = (key: string): boolean => key.endsWith('-lck')): FileStore {
  let last = 0
  return new FileStore({
    sqlite,
    settings: { directory, survives: 'process', maxMiB: undefined, gcSec: 0 },
    directory,
    clock: storeClock(systemClock),
    nextVersion: () => `version-${String(++last)}`,
    isOfProcesses,
    mayMake: true,
  })
}

function withStore<T>(use: (store: FileStore) => T): T {
  const store = openStore()
  try {
    return use(store)
  } finally {
    store.close()
  }
}

const get = (index: number) => [{ op: 'get', key: keyOf(index) }] as const
const all = Array.from({ length: SESSIONS }, (_, index) => index)
const changedAt = (at: number): void => {
  const bytes = Buffer.from(whole)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

/** What a reader was told: the session as it was stored, an error, or something that is not true. */
function told(outcome: Outcome | undefined, index: number): 'right' | 'error' | string {
  if (outcome instanceof Error) return 'error'
  const reply = outcome === 'busy' || outcome === undefined ? undefined : outcome[0]
  return reply?.status === 'ok' && Buffer.from(reply.value ?? '').equals(valueOf(index)) ? 'right' : `session ${String(index)}: ${reply?.status ?? 'busy'}`
}

beforeAll(async () => {
  sqlite = await loadSqlite()
  directory = mkdtempSync(join(tmpdir(), 'latchkey-damage-'))
  file = join(directory, 'sessions.db')
  withStore((store) => {
    // A lock beside every third one.
    for (const index of all) {
      const lock = index % 3 === 0 ? [{ op: 'add', key: `${keyOf(index)}-lck`, value: 'token', ttlSec: 100 } as const] : []
      store.run([[{ op: 'set', key: keyOf(index), value: valueOf(index), ttlSec: 1000 }, ...lock]])
    }
  })
  whole = readFileSync(file)
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

describe('a store whose file the disk has changed', () => {
  it('answers with what was stored or with an error, whichever bit it is', () => {
    const wrong: string[] = []
    let errors = 0
    for (let at = PAGE_BYTES; at < whole.length; at += STEP) {
      const bytes = Buffer.from(whole)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
      writeFileSync(file, bytes)
      const outcomes = withStore((store) => store.run(all.map(get)))
      const answers = all.map((index) => told(outcomes[index], index))
      wrong.push(...answers.filter((answer) => answer !== 'right' && answer !== 'error').map((answer) => `byte ${String(at)}, ${answer}`))
      if (answers.includes('error')) errors++
    }
    expect(wrong).toEqual([])
    expect(errors).toBeGreaterThan(10)
  }, 60_000)

  it('fails the session that is damaged, and no other one of the same turn', () => {
    changedAt(whole.indexOf('value 5 '))
    const outcomes = withStore((store) => store.run(all.map(get)))
    expect(all.filter((index) => told(outcomes[index], index) !== 'right')).toEqual([5])
    expect(outcomes[5]).toMatchObject({ outcome: 'not-sent', message: expect.stringContaining('latchkey doctor') as string })
  })

  it('ends no session because its date was damaged', () => {
    const key = Buffer.from(keyOf(5))
    // Version, flags, dates and checksums stand between the key and the value.
    const from = whole.indexOf(key) + key.length
    const until = whole.indexOf('value 5 ')
    for (let at = from; at < until; at++) {
      changedAt(at)
      withStore((store) => {
        expect(store.clear('', 1000)).toMatchObject({ records: 0 })
        expect(told(store.run([get(5)])[0], 5)).toBe('error')
      })
    }
  })

  it('frees no lock because it was damaged', () => {
    const lock = Buffer.from(`${keyOf(3)}-lck`)
    const from = whole.indexOf(lock) + lock.length
    const until = whole.indexOf('token', from) + 'token'.length
    for (let at = from; at < until; at++) {
      changedAt(at)
      const add = [{ op: 'add', key: lock.toString(), value: 'mine', ttlSec: 100 }] as const
      // Alone, and behind one that has the write lock already.
      const set = [{ op: 'set', key: 'other', value: 'x', ttlSec: 100 }] as const
      withStore((store) => {
        expect(store.run([add])).toEqual([expect.any(Error)])
        expect(store.run([set, add])).toEqual([[expect.objectContaining({ status: 'ok' })], expect.any(Error)])
      })
    }
  })

  it('says how many records are damaged, and none of a whole one', () => {
    changedAt(whole.indexOf('value 5 '))
    expect(withStore((store) => store.damagedRecords())).toBe(1)
    writeFileSync(file, whole)
    expect(withStore((store) => store.damagedRecords())).toBe(0)
    // The doctor opens it without knowing which keys are locks.
    const doctors = openStore(() => false)
    expect(doctors.damagedRecords()).toBe(0)
    expect(doctors.ttlMs(`${keyOf(3)}-lck`)).toBeGreaterThan(0)
    doctors.close()
  })

  it('is mended by a copy that is put back, without a new process', () => {
    changedAt(whole.indexOf('value 5 '))
    withStore((store) => {
      expect(told(store.run([get(5)])[0], 5)).toBe('error')
      writeFileSync(file, whole)
      expect(told(store.run([get(5)])[0], 5)).toBe('right')
    })
  })

  it('a request is told so, and a session that is destroyed is gone from there', async () => {
    const manager = new SessionManager({ savePath: `file:${directory}`, prefix: 'latchkey:' })
    const id = keyOf(5).slice('latchkey:'.length)
    changedAt(whole.indexOf('value 5 '))
    await expect(manager.start(id)).rejects.toMatchObject({
      code: 'LATCHKEY_SERVER_UNAVAILABLE',
      message: expect.stringMatching(/another one.*Ask latchkey doctor/) as string,
    })
    await manager.destroy(id)
    expect(await manager.peek(id)).toBeUndefined()
    await manager.close()
  })
})
