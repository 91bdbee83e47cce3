/** SQLite's log of a store on disk, taken away as it is opened, or while not all of it can be copied. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { doorOf, LOCK_DOOR } from '../../src/wire/file/door.js'
import { FileStore } from '../../src/wire/file/file-store.js'
import { operateFile } from '../../src/wire/file/operated-file.js'
import type { Outcome } from '../../src/wire/file/outcome.js'
import { loadSqlite, type Sqlite } from '../../src/wire/file/sqlite.js'
import { storeClock } from '../../src/wire/file/store-clock.js'
import { builtCode } from '../support/programs.js'
import { LOG, takeAway } from '../support/store-log.js'
import { undoneAfterEach } from '../support/undo.js'
import { until } from '../support/until.js'

const { undo, newDirectory } = undoneAfterEach()
let sqlite: Sqlite

beforeAll(async () => {
  sqlite = await loadSqlite()
})

function storeAt(directory: string, through: Sqlite): FileStore {
  const store = new FileStore({
    sqlite: through,
    settings: { directory, survives: 'process', maxMiB: undefined, gcSec: 0 },
    directory,
    clock: storeClock(systemClock),
    nextVersion: () => '1',
    isOfProcesses: () => false,
    mayMake: true,
  })
  undo.push(() => store.close())
  return store
}

const set = (store: FileStore, value: string): Outcome | undefined => store.run([[{ op: 'set', key: 'k', value, ttlSec: 1000 }]])[0]
const get = (store: FileStore): Outcome | undefined => store.run([[{ op: 'get', key: 'k' }]])[0]
const stored = (value: string): object => [{ status: 'ok', value: Buffer.from(value) }]
const STORED = [{ status: 'ok' }]

/** SQLite, and what happens as it has the store's file opened so many times. */
function meanwhile(directory: string, times: number, happens: () => void): Sqlite {
  let opened = 0
  return {
    ...sqlite,
    open(path) {
      const database = sqlite.open(path)
      if (path === join(directory, 'sessions.db') && ++opened === times) happens()
      return database
    },
  }
}

/** As it reads, nothing that is written from then on can be copied out of the log. */
const READER = `
  import { loadSqlite } from './src/wire/file/sqlite.js'
  const database = (await loadSqlite()).open(process.env.FILE)
  database.exec('BEGIN')
  database.prepare('SELECT key FROM item').all()
  process.stdout.write('reading')
  setInterval(() => database.name, 1000)
`

it('a process lets go of a log when all of it is copied, and not before: who has it besides may be killed', async () => {
  const directory = newDirectory()
  const store = storeAt(directory, sqlite)
  set(store, 'before')
  const reader = spawn(process.execPath, [await builtCode(READER)], { env: { ...process.env, FILE: join(directory, 'sessions.db') } })
  undo.push(() => void reader.kill('SIGKILL'))
  await once(reader.stdout, 'data')
  expect(set(store, 'last')).toMatchObject(STORED)
  takeAway(directory, LOG)
  await until('the log is missed', () => Promise.resolve(get(store) === 'busy'))
  reader.kill('SIGKILL')
  await once(reader, 'close')
  await until('the log is copied', () => Promise.resolve(get(store) !== 'busy'))
  expect(get(store)).toMatchObject(stored('last'))
})

it('who opens the store as its log is taken away makes no other, and fails nobody', async () => {
  const directory = newDirectory()
  const first = storeAt(directory, sqlite)
  expect(set(first, 'stored')).toMatchObject(STORED)
  const second = storeAt(directory, meanwhile(directory, 1, () => takeAway(directory, ['-wal'])))
  expect(get(second)).toBe('busy')
  expect(existsSync(join(directory, 'sessions.db-wal'))).toBe(false)
  await until('the first has let go', () => Promise.resolve(get(first) !== 'busy'))
  expect(get(first)).toMatchObject(stored('stored'))
  await until('the second is in', () => Promise.resolve(get(second) !== 'busy'))
  expect(get(second)).toMatchObject(stored('stored'))
})

it('who opens the store while another process does waits for it', () => {
  const directory = newDirectory()
  expect(set(storeAt(directory, sqlite), 'stored')).toMatchObject(STORED)
  const second = storeAt(directory, sqlite)
  let outcome: Outcome | undefined
  const third = storeAt(directory, meanwhile(directory, 1, () => (outcome = get(second))))
  expect(get(third)).toMatchObject(stored('stored'))
  expect(outcome).toBe('busy')
  expect(get(second)).toMatchObject(stored('stored'))
})

it('an operator who asks while a process opens the store waits for it', async () => {
  const directory = newDirectory()
  const { signal } = new AbortController()
  expect(set(storeAt(directory, sqlite), 'old')).toMatchObject(STORED)
  const opening = sqlite.open(doorOf(join(directory, 'sessions.db')))
  opening.exec(LOCK_DOOR)
  const [node] = operateFile({ directory, survives: 'process', maxMiB: undefined, gcSec: 0 }, { clock: systemClock, silenceMs: 10_000, signal }).nodes
  const keys = node?.keys('')
  // By then it has asked once.
  await new Promise((resolve) => setImmediate(resolve))
  opening.close()
  expect(await keys).toEqual(['k'])
})

it('a log that is left where the file itself was removed does not come into the new one', () => {
  const [directory, other] = [newDirectory(), newDirectory()]
  const old = storeAt(other, sqlite)
  expect(set(old, 'old')).toMatchObject(STORED)
  // As after a kill: an old log that nobody has open, and no file.
  for (const ending of LOG) copyFileSync(join(other, `sessions.db${ending}`), join(directory, `sessions.db${ending}`))
  const store = storeAt(directory, sqlite)
  expect(get(store)).toMatchObject([{ status: 'missing' }])
  expect(set(store, 'new')).toMatchObject(STORED)
  store.close()
  expect(get(storeAt(directory, sqlite))).toMatchObject(stored('new'))
})
